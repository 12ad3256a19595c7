"""The aims of the project: which ratio of this run each of them is about, and whether it was met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Results, Spread, ratio
from bench.roster import OURS

Ratio = Callable[[Results], Spread | None]


@dataclass(frozen=True)
class Aim:
    """One aim: at least, or at most, this ratio of our figure to theirs."""

    what: str
    against: str
    wanted: float
    measured: Ratio
    at_most: bool = False
    missing: str = "not measured"

    def is_met(self, found: Spread) -> bool:
        """Tell whether the median of the rounds meets it."""
        return found.median <= self.wanted if self.at_most else found.median >= self.wanted


def same_case(measure: str, peer: str, case: str, quantity: str) -> Ratio:
    """Return the ratio of two rows of one case."""

    def of(results: Results) -> Spread | None:
        return ratio(
            results.samples(measure, OURS, case, quantity), results.samples(measure, peer, case, quantity)
        )

    return of


def at_best(peer: str, quantity: str) -> Ratio:
    """Return the ratio of two drains of no-op jobs, each at the slots with which it is fastest."""

    def of(results: Results) -> Spread | None:
        ours, theirs = (results.best("drain", who, "jobs/s", "no-op") for who in (OURS, peer))
        if ours is None or theirs is None:
            return None
        return ratio(
            results.samples("drain", OURS, ours, quantity), results.samples("drain", peer, theirs, quantity)
        )

    return of


def figure(measure: str, case: str, quantity: str) -> Ratio:
    """Return a figure of our own, where the aim names a number."""

    def of(results: Results) -> Spread | None:
        samples = results.samples(measure, OURS, case, quantity)
        return Spread.of(samples) if samples else None

    return of


def our_best(quantity: str) -> Ratio:
    """Return a figure of our own fastest drain."""

    def of(results: Results) -> Spread | None:
        case = results.best("drain", OURS, "jobs/s", "no-op")
        return None if case is None else figure("drain", case, quantity)(results)

    return of


def between(measure: str, case: str, beside: str, quantity: str) -> Ratio:
    """Return the ratio of two of our own cases."""

    def of(results: Results) -> Spread | None:
        return ratio(
            results.samples(measure, OURS, case, quantity), results.samples(measure, OURS, beside, quantity)
        )

    return of


def of_requests(store: str, case: str, beside: str) -> Ratio:
    """Return our requests per second over a store, by those of a reference that posts and does nothing."""

    def of(results: Results) -> Spread | None:
        return ratio(
            results.samples("http", f"{OURS}, {store}", case, "requests/s"),
            results.samples("http", beside, "POST /jobs", "requests/s"),
        )

    return of


def of_predecessor(what: str, wanted: float) -> Aim:
    """Return an aim beside a library that no index has."""
    return Aim(
        what, "the predecessor", wanted, lambda _: None, missing="not measured: no index has the predecessor"
    )


AIMS = (
    Aim("Redis drain, each at its best slots", "SAQ", 8, at_best("saq", "jobs/s")),
    Aim("Redis drain, 10 slots each", "SAQ", 3, same_case("drain", "saq", "no-op, 10 slots", "jobs/s")),
    Aim("Redis drain, each at its best slots", "BullMQ", 1.2, at_best("bullmq", "jobs/s")),
    Aim("client CPU per job in the first drain", "SAQ", 0.12, at_best("saq", "client µs/job"), at_most=True),
    Aim(
        "round trips per enqueue, 50-way",
        "a number",
        1,
        figure("enqueue", "50-way", "script calls/job"),
        at_most=True,
    ),
    Aim("round trips per drained job", "a number", 0.1, our_best("script calls/job"), at_most=True),
    Aim("enqueue one by one", "SAQ", 1.5, same_case("enqueue", "saq", "one by one", "jobs/s")),
    Aim("enqueue 50-way", "BullMQ", 1.5, same_case("enqueue", "bullmq", "50-way", "jobs/s")),
    Aim("enqueue in bulk", "BullMQ", 2, same_case("enqueue", "bullmq", "bulk", "jobs/s")),
    Aim(
        "idle: enqueue to start, p50",
        "SAQ",
        0.6,
        same_case("latency", "saq", "idle", "start p50 ms"),
        at_most=True,
    ),
    Aim(
        "idle: enqueue to result, p50",
        "SAQ",
        0.6,
        same_case("latency", "saq", "idle", "result p50 ms"),
        at_most=True,
    ),
    Aim(
        "bytes of Redis per pending job",
        "SAQ",
        1.2,
        same_case("drain", "saq", "no-op, 10 slots", "bytes/pending job"),
        at_most=True,
    ),
    *(
        Aim(
            f"POST /jobs durable in {store}, API only",
            reference,
            wanted,
            of_requests(store, "POST /jobs", reference),
        )
        for reference, wanted in (("FastAPI, nothing", 1.2), ("Starlette, nothing", 0.6))
        for store in ("redis", "sqlite")
    ),
    *(
        Aim(
            f"POST /jobs in {store}, drained by workers of the same process",
            "FastAPI, nothing",
            0.5,
            of_requests(store, "POST /jobs, until all are complete", "FastAPI, nothing"),
        )
        for store in ("redis", "sqlite")
    ),
    Aim(
        "SQLite: enqueue 50-way, synchronous=FULL",
        "aiosqlite, NORMAL",
        4,
        same_case("stores", "aiosqlite, NORMAL", "sqlite: enqueue 50-way", "jobs/s"),
    ),
    of_predecessor("SQLite drain", 20),
    of_predecessor("memory drain with 1,500 pending jobs", 25),
    Aim(
        "memory: rate with 100,000 pending jobs",
        "1,000",
        0.9,
        between("growth", "memory: 100,000 pending", "memory: 1,000 pending", "jobs/s"),
    ),
    *(
        Aim(
            f"{store}: rate with 1,000,000 pending jobs",
            "1,000",
            0.8,
            between("growth", f"{store}: 1,000,000 pending", f"{store}: 1,000 pending", "jobs/s"),
        )
        for store in ("redis", "sqlite")
    ),
    *(
        Aim(
            f"10,000 event streams, {quantity}",
            "sse-starlette",
            wanted,
            same_case("streams", "sse-starlette", "10,000 streams", quantity),
            at_most=True,
        )
        for quantity, wanted in (("p99 ms", 1.2), ("KiB/stream", 1.1))
    ),
)
