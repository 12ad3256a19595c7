"""One API process and two worker processes on one SQLite file."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from tests.support.processes import free_port, jdobb, service, wait_until_ready

HANDLERS = "tests.support.counting_handlers:router"
JOBS = 5000
WATCHED = 20


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "JDOBB_BACKEND_URL": f"sqlite:///{tmp_path / 'jobs.db'}",
        "JDOBB_LEASE": "2",
        "STARTS_FILE": str(tmp_path / "starts"),
    }


def starts(environment: dict[str, str]) -> list[tuple[str, str]]:
    path = Path(environment["STARTS_FILE"])
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split()[0], line.split()[1]) for line in lines]


def eventually(condition: Callable[[], bool], within: float) -> None:
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, "the condition did not come true"
        time.sleep(0.02)


def post(client: httpx.Client, number: int) -> str:
    answer = client.post("/jobs", json={"job_type": "count", "data": {"n": number}})
    assert answer.status_code == httpx.codes.CREATED
    return str(answer.json()["id"])


def watch(client: httpx.Client, job_id: str, into: dict[str, list[dict]]) -> None:
    with connect_sse(client, "GET", f"/jobs/{job_id}/events") as source:
        for event in source.iter_sse():
            if event.event == "message" and event.data:
                into.setdefault(job_id, []).append(json.loads(event.data))


def test_five_thousand_jobs_run_once_each_and_are_watched_live_from_the_api_process(tmp_path, environment):
    with (
        service("--no-workers", log=tmp_path / "api.log", **environment) as client,
        jdobb("worker", HANDLERS, log=tmp_path / "one.log", **environment),
        jdobb("worker", HANDLERS, log=tmp_path / "two.log", **environment),
    ):
        seen: dict[str, list[dict]] = {}
        delayed = [
            client.post("/jobs", json={"job_type": "count", "delay": 2}).json()["id"] for _ in range(WATCHED)
        ]
        watchers = [threading.Thread(target=watch, args=(client, job_id, seen)) for job_id in delayed]
        for watcher in watchers:
            watcher.start()
        with ThreadPoolExecutor(8) as posters:
            posted = delayed + list(posters.map(lambda n: post(client, n), range(JOBS - WATCHED)))
        for watcher in watchers:
            watcher.join(60)
        eventually(lambda: len(starts(environment)) >= JOBS, within=60)
        eventually(lambda: client.get(f"/jobs/{posted[-1]}").json()["status"] == "complete", within=60)

    ran = starts(environment)
    assert Counter(job_id for job_id, _ in ran) == dict.fromkeys(posted, 1)
    assert len({pid for _, pid in ran}) == 2
    for job_id in delayed:
        updates = [(update["status"], update["seq"]) for update in seen[job_id]]
        assert [status for status, _ in updates] == ["pending", "processing", "complete"]
        assert [seq for _, seq in updates] == sorted({seq for _, seq in updates})


def test_the_jobs_of_a_killed_worker_run_again_within_a_lease_and_a_second(tmp_path, environment):
    with (
        service("--no-workers", log=tmp_path / "api.log", **environment) as client,
        jdobb("worker", HANDLERS, log=tmp_path / "one.log", **environment) as victim,
    ):
        posted = [client.post("/jobs", json={"job_type": "hold"}).json()["id"] for _ in range(5)]
        eventually(lambda: len(starts(environment)) == len(posted), within=20)
        with jdobb("worker", HANDLERS, log=tmp_path / "two.log", **environment) as survivor:
            eventually(lambda: len(client.get("/jobs?status=processing").json()["items"]) == 5, within=20)
            ready = tmp_path / "two.log"
            eventually(lambda: "runs" in ready.read_text(), within=20)
            os.kill(victim.pid, signal.SIGKILL)
            killed = time.monotonic()
            eventually(lambda: len(starts(environment)) == 2 * len(posted), within=20)
            took = time.monotonic() - killed
            finished = [client.get(f"/jobs/{job_id}?wait=10").json() for job_id in posted]

    assert [job["status"] for job in finished] == ["complete"] * 5
    assert {job["results"]["pid"] for job in finished} == {survivor.pid}
    assert [job["losses"] for job in finished] == [1] * 5
    lease, maintenance, machine = 2.0, 1.0, 0.5
    assert took < lease + maintenance + machine


def test_nothing_that_was_acknowledged_is_lost_when_the_api_process_is_killed(tmp_path, environment):
    port = str(free_port())
    acknowledged: list[str] = []
    arguments = ("serve", HANDLERS, "--port", port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        for _ in range(3):
            with jdobb(*arguments, log=tmp_path / "api.log", **environment) as process:
                wait_until_ready(client, process, tmp_path / "api.log")
                killer = threading.Timer(0.5, process.kill)
                killer.start()
                try:
                    while True:
                        answer = client.post("/jobs", json={"job_type": "count"})
                        acknowledged.append(answer.json()["id"])
                except httpx.TransportError:
                    killer.join()
        with jdobb(*arguments, log=tmp_path / "api.log", **environment) as process:
            wait_until_ready(client, process, tmp_path / "api.log")
            finished = [client.get(f"/jobs/{job_id}?wait=10").json() for job_id in acknowledged]

    assert len(acknowledged) > 10
    assert {job.get("status") for job in finished} == {"complete"}
