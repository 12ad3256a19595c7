"""Replicas of the service on one Redis server, and what happens to them when it is killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from jdobb_async_queue import JobQueue
from tests.support.fleet import SHORT_LEASE, Fleet, finished, fleet, post, watch_over_breaks
from tests.support.redis_server import RedisServer
from tests.support.serving import code_of, serving
from tests.support.streams import events, read_all
from tests.support.waiting import WITHIN, until

SYNCED = {"always": "full", "everysec": "normal"}
FEW = 20
MANY = 1000
"""Leases that a job may lose."""


@contextmanager
def new_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    folder.mkdir()
    server = RedisServer(folder, *options).start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with new_server(tmp_path / "redis") as started:
        yield started


@pytest.fixture
def processes(tmp_path: Path, server: RedisServer) -> Iterator[Fleet]:
    with fleet(tmp_path, server.url) as started:
        yield started


async def test_a_stream_of_one_replica_goes_on_at_the_other_without_loss_or_repeat(
    server: RedisServer, processes: Fleet
):
    one, two = processes.api(), processes.api()
    job_id = post(one, "by-hand")
    async with JobQueue.from_url(server.url) as queue:
        async with (
            httpx.AsyncClient(base_url=two.base_url, timeout=WITHIN) as client,
            client.stream("GET", f"/jobs/{job_id}/events") as answer,
        ):
            stream = (event async for event in events(answer) if event.name == "message" and event.data)
            assert (await anext(stream)).data["status"] == "pending"
            await queue.update(job_id, 0.25, "seen at two")
            last = await anext(stream)
            assert last.data["message"] == "seen at two"
        for step in range(5):
            await queue.update(job_id, 0.5 + step / 10, f"step {step}")
        await queue.complete(job_id, {"by": "hand"})
        async with httpx.AsyncClient(base_url=one.base_url, timeout=WITHIN) as client:
            rest = await read_all(client, f"/jobs/{job_id}/events", last_event_id=last.id or "")
    messages = [event.data["message"] for event in rest if event.name == "message"]
    assert messages[:5] == [f"step {step}" for step in range(5)]
    assert [event.data["status"] for event in rest[-2:-1]] == ["complete"]
    assert rest[-1].name == "end"
    seqs = [event.seq for event in rest if event.name == "message"]
    assert seqs == sorted(set(seqs))
    assert seqs[0] > last.seq


def test_a_running_job_is_cancelled_at_the_other_replica(processes: Fleet):
    one, two, _ = processes.api(), processes.api(), processes.worker()
    job_id = post(one, "cancellable")
    until(lambda: len(processes.notes()) == 1)
    cancelled = two.post(f"/jobs/{job_id}/cancel", json={"reason": "no longer wanted"})
    assert cancelled.json()["status"] == "cancelled"
    until(lambda: (job_id, "cancelled") in processes.notes())
    shown = one.get(f"/jobs/{job_id}").json()
    assert (shown["status"], shown["error"]) == ("cancelled", "no longer wanted")


@pytest.mark.parametrize("appendfsync", SYNCED)
def test_a_killed_server_comes_back_with_what_was_acknowledged(tmp_path: Path, appendfsync: str):
    options = ("--appendonly", "yes", "--appendfsync", appendfsync)
    with new_server(tmp_path / "redis", *options) as server, fleet(tmp_path, server.url) as processes:
        processes.lease = SHORT_LEASE
        clients = [processes.api(), processes.api()]
        for _ in range(2):
            processes.worker()
        watched = post(clients[0], delay=8, max_lost=MANY)
        seen: list[dict] = []
        watcher = threading.Thread(target=watch_over_breaks, args=(clients, watched, seen))
        watcher.start()
        until(lambda: seen)

        safe, refused = post_until_refused(clients, server, keeps_all=appendfsync == "always")
        for answer in refused:
            assert (answer.status_code, code_of(answer)) == (503, "backend-unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert "127.0.0.1" not in answer.text
        for client in clients:
            ready = client.get("/readyz")
            assert (ready.status_code, code_of(ready)) == (503, "backend-unavailable")
            away = {"name": "redis", "reachable": False, "durability": SYNCED[appendfsync]}
            assert ready.json()["backend"] == away
            assert client.get("/livez").status_code == 200
        server.start()
        for client in clients:
            until(lambda client=client: client.get("/readyz").status_code == 200)
            assert client.get("/readyz").json()["backend"]["durability"] == SYNCED[appendfsync]
        later = [post(clients[n % 2]) for n in range(50)]
        with ThreadPoolExecutor(8) as readers:
            ended = list(readers.map(lambda job_id: finished(clients[1], job_id), safe + later))
        watcher.join(WITHIN)

    assert len(safe) > FEW
    assert {job["status"] for job in ended} == {"complete"}
    assert not watcher.is_alive()
    statuses = [update["status"] for update in seen]
    assert statuses[-1] == "complete"
    assert statuses.count("complete") == 1
    assert [update["seq"] for update in seen] == sorted({update["seq"] for update in seen})


def post_until_refused(
    clients: list[httpx.Client], server: RedisServer, *, keeps_all: bool
) -> tuple[list[str], list[httpx.Response]]:
    """Kill the server amid posting, and return the ids that it has to have kept, and the refusals.

    One that syncs once a second may have acknowledged what it had not written yet.
    """
    acknowledged: list[str] = []

    def post_on(client: httpx.Client) -> httpx.Response:
        while True:
            answer = client.post("/jobs", json={"job_type": "count", "max_lost": MANY})
            if answer.status_code != httpx.codes.CREATED:
                return answer
            acknowledged.append(answer.json()["id"])

    with ThreadPoolExecutor(4) as posters:
        posting = [posters.submit(post_on, client) for client in clients * 2]
        until(lambda: len(acknowledged) > 2 * FEW)
        written = list(acknowledged)
        until(lambda: server.figure("aof_buffer_length") == "0")
        server.kill()
        refused = [post_of_one.result(2 * WITHIN) for post_of_one in posting]
    return acknowledged if keeps_all else written, refused


@pytest.mark.parametrize(
    ("options", "durability"),
    [
        ([], "none"),
        (["--appendonly", "yes", "--appendfsync", "no"], "normal"),
        (["--appendonly", "yes", "--appendfsync", "everysec"], "normal"),
        (["--appendonly", "yes", "--appendfsync", "always"], "full"),
    ],
)
async def test_readiness_names_what_the_server_keeps(tmp_path: Path, options: list[str], durability: str):
    with new_server(tmp_path / "redis", *options) as server:
        async with serving(backend_url=server.url) as service:
            backend = (await service.client.get("/readyz")).json()["backend"]
    assert backend == {"name": "redis", "reachable": True, "durability": durability}
