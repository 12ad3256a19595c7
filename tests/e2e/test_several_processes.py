"""Several API processes and workers on one store: a file of SQLite's, or a Redis server."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.fleet import HANDLERS, SHORT_LEASE, Fleet, finished, fleet, post, watch
from tests.support.ports import free_port
from tests.support.processes import jdobb, wait_until_ready
from tests.support.redis_server import RedisServer
from tests.support.waiting import WITHIN, until

WATCHED = 20
MANY = 1000
"""Leases that a job may lose."""


@dataclass(frozen=True)
class Store:
    """A store, and how many processes the tests start on it."""

    url: str
    apis: int
    workers: int
    jobs: int


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    jobs = request.config.getoption("jobs")
    if request.param == "sqlite":
        yield Store(f"sqlite:///{tmp_path / 'jobs.db'}", apis=1, workers=2, jobs=jobs or 5000)
        return
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, "--appendonly", "yes").start()
    yield Store(server.url, apis=2, workers=3, jobs=jobs or 3000)
    server.stop()


@pytest.fixture
def processes(tmp_path: Path, store: Store) -> Iterator[Fleet]:
    with fleet(tmp_path, store.url) as started:
        yield started


def test_thousands_of_jobs_run_once_each_and_are_watched_live(store: Store, processes: Fleet):
    clients = [processes.api() for _ in range(store.apis)]
    workers = [processes.worker() for _ in range(store.workers)]
    seen: dict[str, list[dict]] = {}
    clients[0].post("/job-types/count/pause")
    watched = [post(clients[0]) for _ in range(WATCHED)]
    watchers = [threading.Thread(target=watch, args=(clients[-1], job_id, seen)) for job_id in watched]
    for watcher in watchers:
        watcher.start()
    until(lambda: len(seen) == WATCHED)
    clients[0].post("/job-types/count/resume")
    rest = range(store.jobs - WATCHED)
    with ThreadPoolExecutor(8) as posters:
        posted = list(posters.map(lambda n: post(clients[n % len(clients)], data={"n": n}), rest))
    posted += watched
    for watcher in watchers:
        watcher.join(WITHIN)
    within = WITHIN + store.jobs / 50
    until(lambda: len(processes.notes()) >= store.jobs, within)
    pending = [f"/jobs?status={status}&limit=1" for status in ("pending", "processing")]
    until(lambda: not any(clients[0].get(path).json()["items"] for path in pending), within)

    ran = processes.notes()
    assert Counter(job_id for job_id, _ in ran) == dict.fromkeys(posted, 1)
    assert {pid for _, pid in ran} == {str(worker.pid) for worker in workers}
    for job_id in watched:
        updates = [(update["status"], update["seq"]) for update in seen[job_id]]
        assert [status for status, _ in updates] == ["pending", "processing", "complete"]
        assert [seq for _, seq in updates] == sorted({seq for _, seq in updates})


def test_the_jobs_of_a_killed_worker_run_again_at_another(processes: Fleet):
    processes.lease = SHORT_LEASE
    client, victim = processes.api(), processes.worker()
    posted = [post(client, "hold", max_lost=MANY) for _ in range(5)]
    until(lambda: {job_id for job_id, _ in processes.notes()} == set(posted))
    survivor = processes.worker()
    os.kill(victim.pid, signal.SIGKILL)
    ended = [finished(client, job_id) for job_id in posted]

    assert [job["status"] for job in ended] == ["complete"] * 5
    assert {job["results"]["pid"] for job in ended} == {survivor.pid}
    assert all(job["losses"] >= 1 for job in ended)
    assert {pid for _, pid in processes.notes()} == {str(victim.pid), str(survivor.pid)}


def test_nothing_that_was_acknowledged_is_lost_when_the_api_process_is_killed(tmp_path, processes: Fleet):
    processes.lease = SHORT_LEASE
    port = str(free_port())
    acknowledged: list[str] = []
    arguments = ("serve", HANDLERS, "--port", port)
    environment = processes.environment
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN) as client:
        for turn in range(3):
            with jdobb(*arguments, log=tmp_path / "api.log", **environment) as process:
                wait_until_ready(client, process, tmp_path / "api.log")
                killer = threading.Thread(target=kill_amid, args=(process, acknowledged, 50 * (turn + 1)))
                killer.start()
                try:
                    while True:
                        answer = client.post("/jobs", json={"job_type": "count", "max_lost": MANY})
                        acknowledged.append(answer.json()["id"])
                except httpx.TransportError:
                    killer.join()
        with jdobb(*arguments, log=tmp_path / "api.log", **environment) as process:
            wait_until_ready(client, process, tmp_path / "api.log")
            ended = [finished(client, job_id) for job_id in acknowledged]

    assert len(acknowledged) >= 150
    assert {job["status"] for job in ended} == {"complete"}


def kill_amid(process: subprocess.Popen[bytes], acknowledged: list[str], count: int) -> None:
    """Kill a process once so many jobs were acknowledged; the next ones are on their way."""
    until(lambda: len(acknowledged) >= count)
    process.kill()
