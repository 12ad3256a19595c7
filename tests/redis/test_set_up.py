"""Which servers and URLs the backend takes, and what it says of those that it does not."""

from __future__ import annotations

import pytest

from jdobb_async_queue import BackendError, BackendUnavailable, JobQueue, SchemaTooNew
from jdobb_async_queue.backends.redis import RedisBackend
from jdobb_async_queue.backends.redis.checks import check_info
from jdobb_async_queue.backends.redis.keys import prefix_of
from jdobb_async_queue.backends.redis.urls import shown
from tests.support.jobs import TYPE
from tests.support.redis_server import RedisServer, free_port
from tests.support.waiting import WITHIN

FINE = {"redis_version": "7.2.4", "role": "master", "redis_mode": "standalone", "cluster_enabled": "0"}


async def refusal(queue):
    with pytest.raises(BackendError) as caught:
        await queue.open()
    assert not isinstance(caught.value, BackendUnavailable)
    return str(caught.value)


# -- servers -----------------------------------------------------------------------------------------------


async def test_a_replica_is_refused(open_queue, server):
    server.command("REPLICAOF", "127.0.0.1", free_port())

    assert "is a replica" in await refusal(open_queue(server.url))


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
async def test_a_server_that_evicts_keys_is_refused(open_queue, server, policy):
    server.command("CONFIG", "SET", "maxmemory-policy", policy)

    said = await refusal(open_queue(server.url))

    assert policy in said
    assert "noeviction" in said


async def test_a_server_in_cluster_mode_is_refused(open_queue, tmp_path):
    server = RedisServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port())).start()
    try:
        assert "Redis Cluster; that comes with the scale-out release" in await refusal(open_queue(server.url))
    finally:
        server.kill()


@pytest.mark.parametrize("version", ["6.2.0", "6.2.14", "7.0", "7.2.4", "8.0-rc1", "10.1.2", "255.255.255"])
def test_a_server_of_this_version_is_taken(version):
    check_info({**FINE, "redis_version": version}, "redis://host")


@pytest.mark.parametrize("version", ["6.1.9", "6.0.16", "5.0.14", "2.8", "0.0", ""])
def test_an_older_server_is_refused(version):
    with pytest.raises(BackendError, match=r"6\.2 or later is needed"):
        check_info({**FINE, "redis_version": version}, "redis://host")


def test_a_sentinel_is_refused():
    with pytest.raises(BackendError, match="Sentinel; that comes with the scale-out release"):
        check_info({"redis_version": "7.2.4", "redis_mode": "sentinel"}, "redis://host")


async def test_a_refused_server_is_taken_once_it_was_mended(open_queue, server):
    queue = open_queue(server.url)
    server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await refusal(queue)

    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")

    assert await queue.enqueue(TYPE)


@pytest.mark.parametrize(
    ("settings", "durability"),
    [
        ({"appendonly": "yes", "appendfsync": "always"}, "full"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "normal"),
        ({"appendonly": "yes", "appendfsync": "no"}, "normal"),
        ({"appendonly": "no"}, "none"),
    ],
)
async def test_the_durability_of_the_server_is_found(open_queue, server, settings, durability, caplog):
    for name, value in settings.items():
        server.command("CONFIG", "SET", name, value)
    queue = open_queue(server.url)

    await queue.open()

    assert queue.backend.durability == durability
    assert ("append-only file" in caplog.text) == (durability == "none")


async def test_a_namespace_of_a_newer_release_is_left_untouched(open_queue, server, namespace):
    server.command("SET", prefix_of(namespace) + "schema", 2)

    with pytest.raises(SchemaTooNew, match="layout 2"):
        await open_queue(server.url).open()

    assert server.command("KEYS", "*") == [prefix_of(namespace) + "schema"]
    await open_queue(server.url, namespace="another").open()


async def test_a_queue_on_a_full_server_can_be_opened(open_queue, server):
    job_id = await open_queue(server.url).enqueue(TYPE)
    server.command("CONFIG", "SET", "maxmemory", 1)

    job = await open_queue(server.url).claim([TYPE])

    assert job is not None
    assert job.id == job_id


async def test_a_server_behind_a_socket_file_is_taken(open_queue, tmp_path):
    path = tmp_path / "redis.sock"
    server = RedisServer(tmp_path, "--unixsocket", str(path)).start()
    try:
        queue = open_queue(f"unix://{path}?db=3")
        with queue.backend.watch([f"type:{TYPE}", "cancelled"]) as bell:
            job_id = await queue.enqueue(TYPE)
            assert await bell.wait(WITHIN)
        assert (await queue.claim([TYPE])).id == job_id
        assert server.command("DBSIZE", db=3) > 0
        await queue.close()
    finally:
        server.kill()


# -- URLs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "redis://", "redis://localhost", "redis://localhost:6379", "redis://localhost:6379/", "redis:///1",
        "redis://localhost:6379/15", "redis://:pw@h", "redis://ada:p%40ss%2Fword@h:1/2", "redis://[::1]:6379/0",
        "rediss://h/0?ssl_cert_reqs=required", "redis://h?db=3", "redis://h?client_name=jdobb",
        "redis://h/0?username=ada&password=pw", "unix:///run/redis.sock", "unix:///run/redis.sock?db=1",
    ],
)  # fmt: skip
def test_a_url_of_one_server_is_taken(url):
    RedisBackend(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h/x", "must be a number"),
        ("redis://h/0/1", "must be a number"),
        ("redis://h?db=x", "must be a number"),
        ("redis://h/\u00b2", "must be a number"),
        ("redis://h:0", "port"),
        ("redis://h:x", "port"),
        ("redis://h:65536", "port"),
        ("http://h", "must look like redis://"),
        ("localhost:6379", "must look like redis://"),
        ("unix://", "names no socket"),
        ("redis://h?decode_responses=yes", "decode_responses"),
        ("redis://h?socket_timeout=1", "socket_timeout"),
        ("redis://h?retry_on_timeout=yes", "retry_on_timeout"),
        ("redis://h?protocol=3", "protocol"),
        ("redis://h?max_connections=1", "max_connections"),
        ("redis://h?health_check_interval=1", "health_check_interval"),
        ("redis://h?colour=red", "colour"),
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("redis://a:1,b:2/0", "scale-out release"),
        ("redis://ada:pw@a,b/0", "scale-out release"),
        ("redis+cluster://h", "scale-out release"),
        ("rediss+sentinel://h/primary", "scale-out release"),
        ("sentinel://h", "scale-out release"),
    ],
)
def test_any_other_url_is_refused(url, said):
    with pytest.raises(ValueError, match=said):
        RedisBackend(url)


@pytest.mark.parametrize("url", ["redis+cluster://h", "rediss+sentinel://h/primary", "sentinel://h"])
def test_a_queue_refuses_the_urls_of_a_later_release(url):
    with pytest.raises(ValueError, match="scale-out release"):
        JobQueue.from_url(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://ada:s3cret@host:1/2", "redis://***@host:1/2"),
        ("redis://:s3cret@host", "redis://***@host"),
        ("redis://:s3cret@[::1]:1/2", "redis://***@[::1]:1/2"),
        ("redis://host/0?password=s3cret", "redis://host/0"),
        ("redis://host/0?username=ada&password=s3@cret", "redis://host/0"),
        ("redis://host", "redis://host"),
        ("redis:///0", "redis:///0"),
        ("unix://ada:s3cret@/run/redis.sock?db=1", "unix://***@/run/redis.sock"),
        ("redis://:s3/cret@host", "redis://***"),
        ("redis://:1/s3cret@host", "redis://***"),
        ("redis://ada:1/s3cret@host", "redis://***"),
        ("redis://ada:s3#cret@host", "redis://***"),
        ("redis://ada:1#s3cret@host", "redis://***"),
        ("redis://ada:s3?cret@host", "redis://***"),
        ("redis://:s3cret", "redis://***"),
        ("ada:s3cret@host", "***"),
    ],
)
def test_a_password_is_not_shown(url, text):
    assert shown(url) == text


@pytest.mark.parametrize(
    "url",
    [
        "redis://ada:s3cret@host:x", "redis://ada:s3cret@host/x", "redis://ada:s3cret@host?colour=s3cret",
        "redis://:s3/cret@host", "redis://:s3#cret@host", "redis://:s3?cret@host", "redis://:s3cret",
        "redis://a:s3cret@a,b", "http://ada:s3cret@host", "redis://host:x?password=s3cret",
        "redis+cluster://ada:s3cret@host", "ada:s3cret@host",
    ],
)  # fmt: skip
def test_no_refusal_of_a_url_tells_the_password(url):
    for use in (RedisBackend, JobQueue.from_url, lambda url: JobQueue("sqlite", url=url)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is looked at below
            use(url)
        said = f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
        assert "s3" not in said
        assert "cret" not in said


async def test_an_outage_does_not_tell_the_password(open_queue, monkeypatch, caplog):
    monkeypatch.setattr("jdobb_async_queue.backends.redis.connection.PATIENCE", 0.1)
    caplog.set_level("DEBUG")
    queue = open_queue(f"redis://ada:s3cret@127.0.0.1:{free_port()}/0?client_name=jdobb")

    with pytest.raises(BackendUnavailable) as caught:
        await queue.open()

    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
