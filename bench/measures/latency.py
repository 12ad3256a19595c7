"""How soon an idle worker in another process starts a job, and how soon the caller has its result."""

from __future__ import annotations

from bench.bench import Bench
from bench.results import percentile
from bench.roster import Peer

NAME = "latency"
TITLE = "One job at a time for an idle worker with 10 slots in another process, over Redis"
MAIN = "start p50 ms"
BASE = None
CASE = "idle"
_UNCOUNTED = 10
_MOST_SLOTS = 10


def measure(bench: Bench) -> None:
    """Ask each peer in turn."""
    for _ in range(bench.rounds):
        for peer in bench.peers:
            _ask(bench, peer)


def _ask(bench: Bench, peer: Peer) -> None:
    jobs = bench.jobs(300) + _UNCOUNTED

    def sample() -> dict[str, float]:
        slots = max(slots for slots in peer.slots if slots <= _MOST_SLOTS)
        bench.empty_redis()
        with (
            bench.program(peer, "serve", slots=slots) as worker,
            bench.program(peer, "ask", jobs=jobs) as caller,
        ):
            worker.expect("ready")
            worker.go()
            caller.expect("ready")
            caller.go()
            asked = caller.expect("asked")
            started = [worker.expect("started")["at"] for _ in range(jobs)]
        found = {}
        for name, instants in (("start", started), ("result", asked["results"])):
            delays = [(then - begun) / 1e6 for begun, then in zip(asked["enqueued"], instants, strict=False)]
            if delays:
                counted = delays[_UNCOUNTED:]
                found[f"{name} p50 ms"] = percentile(counted, 0.5)
                found[f"{name} p99 ms"] = percentile(counted, 0.99)
        return found

    bench.attempt(NAME, peer.name, CASE, sample)
