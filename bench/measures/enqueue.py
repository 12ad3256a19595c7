"""How fast one process enqueues: one after the other, from 50 callers at once, in bulk."""

from __future__ import annotations

from bench.bench import Bench
from bench.redis_side import Figures
from bench.roster import Peer

NAME = "enqueue"
TITLE = "Enqueueing 95-byte jobs into Redis from one process"
MAIN = "jobs/s"
BASE = None
WAYS = {"one by one": 1, "50-way": 50, "bulk": 0}


def measure(bench: Bench) -> None:
    """Enqueue with each peer in turn."""
    for _ in range(bench.rounds):
        for way in WAYS:
            for peer in bench.peers:
                if way != "bulk" or peer.bulk:
                    _enqueue(bench, peer, way)


def _enqueue(bench: Bench, peer: Peer, way: str) -> None:
    jobs = bench.jobs(peer.jobs if way == "one by one" else 2 * peer.jobs)

    def sample() -> dict[str, float]:
        bench.empty_redis()
        with bench.program(peer, "enqueue", job="noop", jobs=jobs, callers=WAYS[way]) as program:
            program.expect("ready")
            before = Figures.of(bench.redis)
            program.go()
            enqueued = program.expect("enqueued")
            cost = Figures.of(bench.redis).per_job(before, jobs)
        return {
            "jobs/s": jobs / enqueued["seconds"],
            "client µs/job": enqueued["cpu"] / jobs * 1e6,
            **cost,
        }

    bench.attempt(NAME, peer.name, way, sample)
