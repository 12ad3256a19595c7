"""How fast one worker process drains a full queue, what each job costs, and how much a pending one takes."""

from __future__ import annotations

from bench.bench import Bench
from bench.redis_side import Figures
from bench.roster import Peer

NAME = "drain"
TITLE = "Draining 95-byte jobs from Redis with one worker process"
MAIN = "jobs/s"
BASE = None
_SECONDS_OF_WAITING = 1.0


def measure(bench: Bench) -> None:
    """Drain with each peer in turn, at equal slots."""
    for _ in range(bench.rounds):
        for job in ("noop", "wait"):
            for slots in sorted({slots for peer in bench.peers for slots in peer.slots}):
                for peer in bench.peers:
                    if slots in peer.slots:
                        _drain(bench, peer, job, slots)


def case_of(job: str, slots: int) -> str:
    """Return the name of a case."""
    return f"{'no-op' if job == 'noop' else '10 ms'}, {slots} slots"


def jobs_of(bench: Bench, peer: Peer, job: str, slots: int) -> int:
    """Return how many jobs to drain: some seconds' worth."""
    if job == "wait":
        return bench.jobs(min(peer.jobs, int(_SECONDS_OF_WAITING * slots * 100)))
    return bench.jobs(peer.jobs if slots > 1 else peer.jobs // 5)


def _drain(bench: Bench, peer: Peer, job: str, slots: int) -> None:
    jobs = jobs_of(bench, peer, job, slots)

    def sample() -> dict[str, float]:
        empty = bench.empty_redis()
        with bench.program(peer, "drain", job=job, fill=jobs, jobs=jobs, slots=slots) as program:
            program.expect("ready")
            full = Figures.of(bench.redis)
            program.go()
            drained = program.expect("drained")
            cost = Figures.of(bench.redis).per_job(full, jobs)
        return {
            "jobs/s": drained["jobs"] / drained["seconds"],
            "client µs/job": drained["cpu"] / drained["jobs"] * 1e6,
            **cost,
            "bytes/pending job": (full.memory - empty.memory) / jobs,
        }

    bench.attempt(NAME, peer.name, case_of(job, slots), sample)
