"""What Redis answers when it will not, or does not answer at all: calls go on or fail as our own errors."""

from __future__ import annotations

import asyncio

import pytest
import redis

from jdobb_async_queue import BackendError, BackendUnavailable, JobQueueError, NewJob, RetryPolicy, Worker
from jdobb_async_queue.backends.redis import connection, faults, pool
from tests.support.jobs import TYPE, claim_job, get_job, make_job, start_job
from tests.support.redis_server import RedisServer, free_port
from tests.support.waiting import WITHIN, eventually

TRIED_FOR = connection.PATIENCE + connection._LAST_TRY
"""Seconds, before a test has set anything else."""


@pytest.fixture
def queue(open_queue, server):
    return open_queue(server.url)


@pytest.fixture
def impatient(monkeypatch):
    """Let calls give up soon, but only once they were answered or cut off."""
    monkeypatch.setattr(connection, "PATIENCE", 0.5)
    monkeypatch.setattr(connection, "_LAST_TRY", 600.0)


async def has_refused(server, error):
    """Return when the server refuses a command with this error."""

    async def refuses():
        try:
            await asyncio.to_thread(server.command, "PING")
        except error:
            return True
        except redis.RedisError:
            pass
        return False

    await eventually(refuses)


async def has_counted(server, figure):
    """Return when one of the server's figures is more than nothing."""

    async def is_more():
        found = await asyncio.to_thread(server.command, "INFO", "everything")
        value = found.get(figure, 0)
        return (value["count"] if isinstance(value, dict) else value) > 0

    await eventually(is_more)


def in_flight(*calls):
    """Return calls that begin."""
    return [asyncio.ensure_future(call) for call in calls]


# -- scripts -----------------------------------------------------------------------------------------------


async def test_flushed_scripts_are_loaded_again(queue, server):
    for _ in range(3):
        job = await start_job(queue)
        server.command("SCRIPT", "FLUSH")
        assert await queue.complete(job.id, lease_token=job.lease_token)
        server.command("SCRIPT", "FLUSH")
        assert (await get_job(queue, job.id)).status == "complete"


async def test_scripts_are_flushed_under_load(queue, server):
    calls = [asyncio.ensure_future(queue.enqueue(TYPE)) for _ in range(500)]
    while not all(call.done() for call in calls):
        await asyncio.to_thread(server.command, "SCRIPT", "FLUSH")

    assert len({await call for call in calls}) == 500
    assert await queue.counts() == {TYPE: {"pending": 500}}


async def test_a_server_busy_with_a_slow_script_is_waited_for(queue, server):
    job = await start_job(queue)
    server.command("CONFIG", "SET", "lua-time-limit", 10)
    slow = asyncio.ensure_future(
        asyncio.to_thread(server.command, "EVAL", "while true do end", 0, socket_timeout=60)
    )
    await has_refused(server, redis.ResponseError)

    calls = in_flight(
        queue.enqueue(TYPE), queue.complete(job.id, lease_token=job.lease_token), queue.counts()
    )
    await asyncio.wait(calls, timeout=0.1)  # it cannot be asked whether it has refused them
    server.command("SCRIPT", "KILL")
    await asyncio.gather(slow, return_exceptions=True)

    assert all(await asyncio.gather(*calls))
    assert await queue.counts() == {TYPE: {"pending": 1, "complete": 1}}


async def test_a_server_that_stays_busy_is_unavailable(queue, server, impatient):
    await queue.open()
    server.command("CONFIG", "SET", "lua-time-limit", 10)
    slow = asyncio.ensure_future(
        asyncio.to_thread(server.command, "EVAL", "while true do end", 0, socket_timeout=60)
    )
    await has_refused(server, redis.ResponseError)

    with pytest.raises(BackendUnavailable, match="BUSY"):
        await queue.enqueue(TYPE)

    server.command("SCRIPT", "KILL")
    await asyncio.gather(slow, return_exceptions=True)


# -- a server that takes no writes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before",
    [
        "",
        "Error running script (call to f_5b32): @user_script:85: @user_script: 85: -",
        "ERR Error running script (call to f_5b32): @user_script:7: ",
    ],
    ids=["7 and newer", "6.2", "6.2 with a code"],
)
def test_the_refusal_of_a_write_is_known_whichever_server_tells_it(before):
    demoted = redis.ResponseError(f"{before}READONLY You can't write against a read only replica.")
    full = redis.ResponseError(f"{before}OOM command not allowed when used memory > 'maxmemory'.")
    assert faults.remedy_for(demoted) is faults.Remedy.RECONNECT
    assert "no memory left" in str(faults.translated(full, "redis://somewhere"))


async def test_a_demoted_server_is_waited_for(queue, server):
    job = await start_job(queue)
    server.command("REPLICAOF", "127.0.0.1", free_port())

    calls = in_flight(queue.enqueue(TYPE), queue.complete(job.id, lease_token=job.lease_token))
    await has_counted(server, "errorstat_READONLY")
    server.command("REPLICAOF", "NO", "ONE")

    assert await calls[0]
    assert await calls[1]
    assert await queue.counts() == {TYPE: {"pending": 1, "complete": 1}}


async def test_a_server_that_stays_a_replica_is_unavailable(queue, server, impatient):
    await queue.open()
    server.command("REPLICAOF", "127.0.0.1", free_port())

    for call in (queue.enqueue(TYPE), queue.claim([TYPE]), queue.cancel("none"), queue.pause(TYPE)):
        with pytest.raises(BackendUnavailable, match="READONLY"):
            await call


async def test_a_server_without_its_primary_is_unavailable(queue, server, impatient):
    await queue.open()
    server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.command("REPLICAOF", "127.0.0.1", free_port())

    with pytest.raises(BackendUnavailable, match="MASTERDOWN"):
        await queue.get("none")


async def test_a_server_that_misses_its_replicas_is_unavailable(queue, server):
    job = await start_job(queue)
    server.command("CONFIG", "SET", "min-replicas-to-write", 1)

    for call in (queue.enqueue(TYPE), queue.complete(job.id, lease_token=job.lease_token)):
        with pytest.raises(BackendUnavailable, match="NOREPLICAS"):
            await call

    server.command("CONFIG", "SET", "min-replicas-to-write", 0)
    assert await queue.complete(job.id, lease_token=job.lease_token)


async def test_a_server_that_cannot_save_is_unavailable(queue, server):
    job = await start_job(queue)
    (server.folder / "dump.rdb").mkdir()
    server.command("CONFIG", "SET", "save", "3600 1")
    server.command("BGSAVE")

    async def failed():
        return server.figure("rdb_last_bgsave_status") == "err"

    await eventually(failed)

    for call in (queue.enqueue(TYPE), queue.complete(job.id, lease_token=job.lease_token)):
        with pytest.raises(BackendUnavailable, match="cannot save to its disk"):
            await call
    assert (await get_job(queue, job.id)).status == "processing"
    server.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    assert await queue.complete(job.id, lease_token=job.lease_token)


# -- a full memory -----------------------------------------------------------------------------------------


@pytest.fixture
async def full(queue, server):
    """Return a queue with 200 waiting jobs and a running one, whose server has no memory left."""
    running = await start_job(queue, "running", retry=RetryPolicy(max_attempts=3))
    await queue.enqueue_many([NewJob(job_type=TYPE, data={"text": "x" * 2000}) for _ in range(200)])
    server.command("CONFIG", "SET", "maxmemory", 1)
    return running


async def test_a_full_server_takes_no_job(queue, full):
    for call in (queue.enqueue(TYPE), queue.enqueue_many([NewJob(job_type=TYPE)] * 3)):
        with pytest.raises(BackendUnavailable, match="no memory left"):
            await call

    assert await queue.counts() == {TYPE: {"pending": 200}, "running": {"processing": 1}}


async def test_a_full_server_keeps_running_jobs_alive(queue, full):
    assert await queue.update(full.id, 0.5, "half", lease_token=full.lease_token)
    [lease] = await queue.heartbeat([(full.id, full.lease_token)])
    assert lease.status == "ok"
    assert lease.expires_in > 29


async def test_a_full_server_counts_failures(queue, full):
    assert await queue.fail(full.id, "boom", lease_token=full.lease_token)

    assert (await get_job(queue, full.id)).failures == 1


async def test_a_full_server_takes_jobs_back(queue, full):
    assert await queue.release(full.id, lease_token=full.lease_token)
    assert await queue.cancel(full.id)
    assert await queue.delete(full.id)


async def test_the_queue_of_a_full_server_drains(queue, full, server):
    seen = []
    worker = Worker(queue, max_concurrent=20)

    @worker.handler(TYPE)
    async def email(ctx):
        seen.append(ctx.id)

    running = asyncio.ensure_future(worker.run())

    async def drained():
        return (await queue.counts())[TYPE] == {"complete": 200}

    await eventually(drained)
    await worker.stop()
    await running
    assert len(seen) == len(set(seen)) == 200
    server.command("CONFIG", "SET", "maxmemory", 0)
    await queue.enqueue(TYPE)


# -- credentials -------------------------------------------------------------------------------------------


def told(caught):
    """Return all that an error tells, with its causes."""
    error, texts = caught.value, []
    while error is not None:
        texts.append(f"{error} {error!r}")
        error = error.__cause__ or error.__context__
    return " ".join(texts)


@pytest.mark.parametrize("user", ["", "default:wr0ng-secret@", ":wr0ng-secret@", "nobody:wr0ng-secret@"])
async def test_wrong_credentials_are_refused_at_once(open_queue, server, user, caplog):
    server.command("CONFIG", "SET", "requirepass", "s3cret")
    queue = open_queue(server.url.replace("//", f"//{user}"))

    with pytest.raises(BackendError, match="credentials") as caught:
        await asyncio.wait_for(queue.enqueue(TYPE), WITHIN)

    assert not isinstance(caught.value, BackendUnavailable)
    assert "secret" not in told(caught) + caplog.text


async def test_a_password_that_nobody_asked_for_is_refused(open_queue, server, caplog):
    queue = open_queue(server.url.replace("//", "//nobody:s3cret@"))

    with pytest.raises(BackendError) as caught:
        await queue.enqueue(TYPE)

    assert "s3cret" not in told(caught) + caplog.text


async def test_the_right_password_is_taken(open_queue, server):
    server.command("CONFIG", "SET", "requirepass", "p@ss/word")
    queue = open_queue(server.url.replace("//", "//:p%40ss%2Fword@"))

    assert await queue.enqueue(TYPE)


async def test_a_changed_password_is_refused(queue, server):
    await queue.open()
    server.command("CONFIG", "SET", "requirepass", "s3cret")
    server.command("CLIENT", "KILL", "TYPE", "normal", password="s3cret")

    with pytest.raises(BackendError, match="credentials"):
        await queue.enqueue(TYPE)


@pytest.mark.parametrize("denied", ["-evalsha", "-info", "-zadd", "resetkeys"])
async def test_a_user_who_may_not_is_told(open_queue, server, denied):
    server.command("ACL", "SETUSER", "ada", "on", ">s3cret", "~*", "&*", "+@all", denied)
    queue = open_queue(server.url.replace("//", "//ada:s3cret@"))

    with pytest.raises(BackendError) as caught:
        await queue.enqueue(TYPE)

    assert not isinstance(caught.value, BackendUnavailable)
    assert "s3cret" not in told(caught)


async def test_a_user_who_may_not_see_the_configuration_can_work(open_queue, server):
    server.command("ACL", "SETUSER", "ada", "on", ">s3cret", "~*", "&*", "+@all", "-config")
    queue = open_queue(server.url.replace("//", "//ada:s3cret@"))

    await queue.enqueue(TYPE)

    assert queue.backend.durability == "normal"


@pytest.mark.parametrize("denied", ["bzpopmin", "subscribe"])
async def test_a_user_who_may_not_listen_is_told_once_and_looks_by_itself(open_queue, server, caplog, denied):
    server.command("ACL", "SETUSER", "ada", "on", ">s3cret", "~*", "&*", "+@all", f"-{denied}")
    queue = open_queue(server.url.replace("//", "//ada:s3cret@"))
    worker = Worker(queue, poll_interval=0.05)

    async def email(ctx): ...

    worker.register_handler("email", email)

    def warnings() -> list[str]:
        return [line for line in caplog.messages if "does not allow" in line]

    running = asyncio.ensure_future(worker.run())
    try:
        await eventually(warnings)
        done = [await queue.wait(await queue.enqueue("email"), WITHIN) for _ in range(2)]
    finally:
        await worker.stop()
        await running

    assert [job.status for job in done] == ["complete", "complete"]
    assert len(warnings()) == 1
    assert denied in warnings()[0].lower()


# -- a server that is not there ----------------------------------------------------------------------------


async def test_a_refused_connection_is_unavailable(open_queue, impatient):
    queue = open_queue(f"redis://127.0.0.1:{free_port()}/0")

    with pytest.raises(BackendUnavailable, match="does not answer"):
        await queue.enqueue(TYPE)


async def test_an_unknown_host_is_unavailable(open_queue, impatient):
    queue = open_queue("redis://no-such-host.invalid:6379/0")

    with pytest.raises(BackendUnavailable, match=r"no-such-host\.invalid"):
        await queue.enqueue(TYPE)


def test_a_call_is_tried_for_no_more_than_ten_seconds():
    assert TRIED_FOR < 10


async def test_a_silent_server_is_unavailable(open_queue, proxy, monkeypatch):
    monkeypatch.setattr(pool, "TIMEOUT", 0.2)
    monkeypatch.setattr(connection, "_LAST_TRY", 0.1)
    queue = open_queue(proxy.url)
    await queue.open()
    proxy.fall_silent()

    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    calls = in_flight(queue.enqueue(TYPE), queue.claim([TYPE]), queue.counts())
    await asyncio.sleep(0)
    calls += in_flight(queue.enqueue(TYPE), queue.enqueue(TYPE))
    await asyncio.wait(calls[:3], timeout=WITHIN)
    assert all(call.done() for call in calls), "who waits behind the first waits no longer than it"
    for call in calls:
        with pytest.raises(BackendUnavailable):
            await call

    monkeypatch.setattr(connection, "PATIENCE", 600.0)
    proxy.heal()
    assert await queue.enqueue(TYPE)


async def test_a_server_without_room_for_a_client_is_waited_for(queue, server):
    server.command("CONFIG", "SET", "maxclients", 1)
    with redis.Redis(port=server.port, single_connection_client=True, socket_timeout=WITHIN) as connected:
        connected.ping()
        [call] = in_flight(queue.enqueue(TYPE))

        async def is_refused():
            return connected.info()["rejected_connections"] > 0

        await eventually(is_refused)
        connected.config_set("maxclients", 100)

        assert await call


async def test_a_killed_server_loses_no_acknowledged_job_and_runs_none_twice(open_queue, server):
    server.kill()
    server.options = (*server.options, "--appendfsync", "always")
    server.start()
    queue = open_queue(server.url)
    acknowledged, errors = [], []

    async def enqueue(number):
        try:
            acknowledged.append(await queue.enqueue(TYPE, {"n": number}))
        except JobQueueError as error:
            errors.append(error)

    async def producing():
        for number in range(0, 1000, 10):
            await asyncio.gather(*(enqueue(number + more) for more in range(10)))

    producer = asyncio.ensure_future(producing())

    for least in (100, 400):

        async def enough(least=least):
            return len(acknowledged) >= least or producer.done()

        await eventually(enough)
        server.kill()
        await asyncio.to_thread(server.start)
    await producer

    assert not errors
    stored = {job.id for job in await queue.get_many(acknowledged) if job is not None}
    assert len(stored) == len(acknowledged) == 1000
    assert await queue.counts() == {TYPE: {"pending": 1000}}


async def test_a_server_that_loads_its_jobs_is_waited_for(queue, server):
    job = await make_job(queue)
    server.command("EVAL", "for n = 1, 60000 do redis.call('SET', 'key:' .. n, n) end", 0)
    server.kill()
    server.options = (*server.options, "--key-load-delay", "200")  # microseconds for each command
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    await has_refused(server, redis.BusyLoadingError)
    claiming = asyncio.ensure_future(claim_job(queue))
    await asyncio.wait([claiming], timeout=0.1)  # it cannot be asked whether it has refused that too

    server.command("CONFIG", "SET", "key-load-delay", 0)

    assert (await claiming).id == job.id
    await starting


async def test_no_error_of_the_driver_leaves_the_backend(open_queue, proxy, impatient):
    queue = open_queue(proxy.url)
    job = await start_job(queue)
    errors = []

    async def trying(call):
        for _ in range(30):
            try:
                await call()
            except JobQueueError as error:
                errors.append(error)

    async def harming():
        number = 0
        while number < 60 or not errors:
            number += 1
            proxy.cut()
            (proxy.fall_silent, proxy.heal)[number % 2]()
            proxy.cut_reply(number)
            await asyncio.sleep(0.03)
        proxy.heal()

    harm = asyncio.ensure_future(harming())
    await asyncio.gather(
        trying(lambda: queue.enqueue(TYPE)),
        trying(lambda: queue.claim([TYPE])),
        trying(lambda: queue.heartbeat([(job.id, job.lease_token)])),
        trying(queue.list_jobs),
        trying(queue.stats),
        trying(lambda: queue.update(job.id, message="on")),
        trying(lambda: queue.get(job.id)),
    )
    await harm

    assert errors
    assert {type(error) for error in errors} == {BackendUnavailable}, errors
    assert await queue.complete(job.id, lease_token=job.lease_token)


def test_servers_of_the_tests_end(tmp_path):
    server = RedisServer(tmp_path).start()
    server.kill()
    with pytest.raises(redis.ConnectionError):
        server.command("PING")


async def test_an_outcome_that_cannot_be_stored_holds_up_no_other(queue, server, namespace):
    worker = Worker(queue, max_concurrent=2)

    @worker.handler(TYPE)
    async def email(ctx):
        if ctx.data.get("spoiled"):
            raise ValueError("no")

    spoiled = await make_job(queue, data={"spoiled": True})
    server.command("SET", f"{{{namespace}.0}}:e:{spoiled.id}", "not a list")
    others = [await make_job(queue) for _ in range(10)]
    running = asyncio.ensure_future(worker.run())
    for job in others:
        await queue.wait(job.id, timeout=WITHIN)

    assert (await get_job(queue, spoiled.id)).status == "processing"
    server.command("DEL", f"{{{namespace}.0}}:e:{spoiled.id}")
    assert (await queue.wait(spoiled.id, timeout=WITHIN)).status == "failed"
    await worker.stop()
    await running
