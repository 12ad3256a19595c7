"""Several real processes on one store, and what they leave behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import connect_sse

from tests.support.processes import jdobb, service
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

HANDLERS = "tests.support.counting_handlers:router"
SHORT_LEASE = 2.0
"""Seconds, for tests that a process dies in; what they assert holds however many leases are lost."""


@dataclass
class Fleet:
    """Processes on the store that ``url`` names; their logs, and the handlers' notes, are in the folder."""

    folder: Path
    url: str
    lease: float = 300.0
    _stack: ExitStack = field(default_factory=ExitStack)
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @property
    def environment(self) -> dict[str, str]:
        return {
            "JDOBB_BACKEND_URL": self.url,
            "JDOBB_LEASE": f"{self.lease:g}",
            "STARTS_FILE": str(self.folder / "starts"),
        }

    def api(self) -> httpx.Client:
        """Start a process that only answers requests, and return a client of it."""
        log = self.folder / f"api-{next(self._names)}.log"
        return self._stack.enter_context(service("--no-workers", log=log, **self.environment))

    def worker(self):
        """Start a process that runs jobs, and return it when it does."""
        log = self.folder / f"worker-{next(self._names)}.log"
        process = self._stack.enter_context(jdobb("worker", HANDLERS, log=log, **self.environment))
        until(lambda: " runs " in log.read_text())
        return process

    def notes(self) -> list[tuple[str, str]]:
        """Return what the handlers noted, in order: the job's id, and the process or what happened."""
        path = self.folder / "starts"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(line.split()[0], line.split()[1]) for line in lines]


@contextmanager
def fleet(folder: Path, url: str) -> Iterator[Fleet]:
    """End all processes when the block is left."""
    made = Fleet(folder, url)
    with made._stack:
        yield made


def post(client: httpx.Client, job_type: str = "count", **fields) -> str:
    """Post a job and return its id."""
    answer = client.post("/jobs", json={"job_type": job_type, **fields})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return str(answer.json()["id"])


def finished(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Return a job once it has ended, however often it was lost before."""
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(client.get(f"/jobs/{job_id}?wait=5").json())
        return found["status"] in {"complete", "failed", "cancelled"}

    until(has_ended)
    return found


def watch(client: httpx.Client, job_id: str, into: dict[str, list[dict]]) -> None:
    """Watch a job to the end of the stream."""
    with connect_sse(client, "GET", f"/jobs/{job_id}/events") as source:
        for event in source.iter_sse():
            if event.event == "message" and event.data:
                into.setdefault(job_id, []).append(json.loads(event.data))


def watch_over_breaks(clients: list[httpx.Client], job_id: str, into: list[dict]) -> None:
    """Watch a job as a browser does: after each break at the next client, with the last id."""
    headers: Mapping[str, str] = {}
    for turn in range(1000):
        client = clients[turn % len(clients)]
        try:
            with connect_sse(client, "GET", f"/jobs/{job_id}/events", headers=headers) as source:
                if source.response.status_code != httpx.codes.OK:
                    continue
                for event in source.iter_sse():
                    if event.event == "end":
                        return
                    if event.id:
                        headers = {"Last-Event-ID": event.id}
                    if event.event == "message" and event.data:
                        into.append(json.loads(event.data))
        except httpx.TransportError:
            continue


@contextmanager
def fleet_on(store: str, folder: Path) -> Iterator[Fleet]:
    """Return a fleet on a new ``sqlite`` file or a new ``redis`` server of its own."""
    if store == "sqlite":
        with fleet(folder, f"sqlite:///{folder / 'jobs.db'}") as started:
            yield started
        return
    server = RedisServer(folder).start()
    try:
        with fleet(folder, server.url) as started:
            yield started
    finally:
        server.stop()
