"""Whether more of something makes it slower: pending jobs, job types, worker processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.bench import Bench
from bench.roster import OURS

NAME = "growth"
TITLE = "Draining no-op jobs with 50 slots while there is more of something"
MAIN = "jobs/s"
BASE = None
PENDING = {
    "redis": (1000, 100_000, 1_000_000),
    "sqlite": (1000, 100_000, 1_000_000),
    "memory": (1000, 100_000),
}
TYPES = (1, 10, 200)
PROCESSES = (1, 2, 3, 4)
_SLOTS = 50
_SECONDS = 2.0


def measure(bench: Bench) -> None:
    """Grow one thing after the other, in each store."""
    for store, sizes in PENDING.items():
        for pending in sizes:
            with _store(bench, store) as url:
                _drain_among(bench, store, url, pending // 100 if bench.quick else pending)
    for _ in range(bench.rounds):
        for store in PENDING:
            for types in TYPES:
                with _store(bench, store) as url:
                    _drain(bench, f"{store}: {types} job types", url, types=types)
        for store in ("redis", "sqlite"):
            for processes in PROCESSES:
                with _store(bench, store) as url:
                    _drain_together(bench, store, url, processes)


def case_of(store: str, pending: int) -> str:
    """Return the name of a case."""
    return f"{store}: {pending:,} pending"


@contextlib.contextmanager
def _store(bench: Bench, store: str) -> Iterator[str]:
    if store == "redis":
        bench.empty_redis()
        yield bench.redis.url
    elif store == "memory":
        yield "memory://"
    else:
        with bench.new_folder() as folder:
            yield f"sqlite:///{folder / 'jobs.db'}"


def _drain_among(bench: Bench, store: str, url: str, pending: int) -> None:
    """Fill once, then drain so many again and again that as many stay; memory is filled by who drains."""
    case = case_of(store, pending)
    if store == "memory":
        for _ in range(bench.rounds):
            _drain(bench, case, url, pending)
        return
    with bench.program(bench.ours, "enqueue", url=url, job="noop", jobs=pending, callers=0) as filler:
        filler.expect("ready")
        filler.go()
        filler.expect("enqueued", patience=600)
    for _ in range(bench.rounds):
        _drain(bench, case, url)


def _drain(bench: Bench, case: str, url: str, pending: int = 0, types: int = 1) -> None:
    jobs = bench.jobs(10_000)

    def sample() -> dict[str, float]:
        return bench.drain(url, types=types, fill=jobs + pending, jobs=jobs, slots=_SLOTS)

    bench.attempt(NAME, OURS, case, sample)


def _drain_together(bench: Bench, store: str, url: str, processes: int) -> None:
    """Let some processes drain one store for some seconds, from as many jobs as they cannot all do."""
    jobs = bench.jobs(100_000)
    request = {"job": "noop", "jobs": jobs, "slots": _SLOTS, "seconds": _SECONDS / (4 if bench.quick else 1)}

    def sample() -> dict[str, float]:
        with contextlib.ExitStack() as stack:
            programs = [
                stack.enter_context(
                    bench.program(bench.ours, "drain", url=url, fill=0 if number else jobs, **request)
                )
                for number in range(processes)
            ]
            for program in programs:
                program.expect("ready")
            for program in programs:
                program.go()
            drained = [program.expect("drained") for program in programs]
        total = sum(one["jobs"] for one in drained)
        return {
            "jobs/s": sum(one["jobs"] / one["seconds"] for one in drained),
            "CPU µs/job": sum(one["cpu"] for one in drained) / total * 1e6,
        }

    bench.attempt(NAME, OURS, f"{store}: {processes} worker processes", sample)
