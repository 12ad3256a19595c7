"""What jobs cost without Redis: enqueueing into SQLite and memory, and draining them."""

from __future__ import annotations

import sys

from bench.bench import Bench
from bench.programs import running
from bench.roster import OURS, SLOTS

NAME = "stores"
TITLE = "SQLite (a durable commit before each call returns) and memory, in one process"
MAIN = "jobs/s"
REFERENCES = {"aiosqlite, NORMAL": "NORMAL", "aiosqlite, FULL": "FULL"}
BASE = None
WAYS = {"one by one": 1, "50-way": 50, "bulk": 0}


def measure(bench: Bench) -> None:
    """Enqueue beside one transaction per insert, then drain."""
    for _ in range(bench.rounds):
        for way in WAYS:
            _enqueue(bench, OURS, "sqlite", way)
            if way != "bulk":
                for reference in REFERENCES:
                    _enqueue(bench, reference, "sqlite", way)
            _enqueue(bench, OURS, "memory", way)
        for store in ("sqlite", "memory"):
            for slots in SLOTS:
                _drain(bench, store, slots)


def case_of(store: str, what: str) -> str:
    """Return the name of a case."""
    return f"{store}: {what}"


def _enqueue(bench: Bench, who: str, store: str, way: str) -> None:
    jobs = bench.jobs(3000 if way == "one by one" else 20_000)

    def sample() -> dict[str, float]:
        with bench.new_folder() as folder:
            path = folder / "jobs.db"
            url = "memory://" if store == "memory" else f"sqlite:///{path}"
            command = bench.command_of(bench.ours)
            if who in REFERENCES:
                command = [sys.executable, "-m", "bench.references.aiosqlite_insert"]
            request = {"do": "enqueue", "url": url, "job": "noop", "jobs": jobs, "callers": WAYS[way]}
            reference = {"path": str(path), "synchronous": REFERENCES.get(who)}
            with running(command, {**request, **reference}) as program:
                program.expect("ready")
                program.go()
                enqueued = program.expect("enqueued")
        return {"jobs/s": jobs / enqueued["seconds"], "CPU µs/job": enqueued["cpu"] / jobs * 1e6}

    bench.attempt(NAME, who, case_of(store, f"enqueue {way}"), sample)


def _drain(bench: Bench, store: str, slots: int) -> None:
    jobs = bench.jobs(10_000 if slots > 1 else 2000)

    def sample() -> dict[str, float]:
        with bench.new_folder() as folder:
            url = "memory://" if store == "memory" else f"sqlite:///{folder / 'jobs.db'}"
            return bench.drain(url, fill=jobs, jobs=jobs, slots=slots)

    bench.attempt(NAME, OURS, case_of(store, f"drain, {slots} slots"), sample)
