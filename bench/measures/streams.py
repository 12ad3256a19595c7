"""How late events are on many streams, and how much memory one takes, beside bare sse-starlette."""

from __future__ import annotations

import asyncio
import json
import resource

import uvloop

from bench import load, servers
from bench.bench import Bench
from bench.results import percentile
from bench.roster import OURS
from bench.servers import Server

NAME = "streams"
TITLE = "Event streams of one process, an event a second on each"
MAIN = "p99 ms"
BASE = None
REFERENCE = "sse-starlette"
STREAMS = (1000, 5000, 10_000)
_SETTLE = 2.0
_SPARE = 1000
"""File descriptors beside those of streams."""
_TICK = load.post("/jobs", json.dumps({"job_type": "tick"}).encode())


def measure(bench: Bench) -> None:
    """Open them, and listen; more than once to the largest number only."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in range(bench.rounds):
        sizes = STREAMS if number == 0 else STREAMS[-1:]
        for streams in (STREAMS[0] // 10,) if bench.quick else sizes:
            for who in (OURS, REFERENCE):
                _listen(bench, who, streams, most)


def case_of(streams: int) -> str:
    """Return the name of a case."""
    return f"{streams:,} streams"


def _listen(bench: Bench, who: str, streams: int, most: int) -> None:
    if most < streams + _SPARE:
        bench.results.fail(NAME, who, case_of(streams), f"only {most} files may be open (ulimit -n)")
        return
    seconds = 2.0 if bench.quick else 8.0

    def sample() -> dict[str, float]:
        with bench.new_folder() as folder:
            if who == REFERENCE:
                with servers.reference("bare_sse", folder) as server:
                    return uvloop.run(_measured(server, ["/jobs/1/events"] * streams, seconds))
            settings = {"max_streams": str(streams), "lease": "3600"}
            options = ["--max-concurrent", str(streams)]
            with servers.ours("memory://", folder, *options, **settings) as server:
                _, _, answers = uvloop.run(load.send(server.port, [_TICK] * streams, 32))
                paths = [f"/jobs/{job_id}/events" for job_id in load.ids(answers)]
                return uvloop.run(_measured(server, paths, seconds))

    bench.attempt(NAME, who, case_of(streams), sample)


async def _measured(server: Server, paths: list[str], seconds: float) -> dict[str, float]:
    """Return the figures once all streams are open and what opening them left behind has passed."""
    await asyncio.sleep(_SETTLE)
    memory = servers.memory_of(server.pid)
    delays: list[float] = []
    streams = await load.open_streams(server.port, paths, delays)
    await asyncio.sleep(_SETTLE)
    delays.clear()
    cpu = servers.cpu_of(server.pid)
    await asyncio.sleep(seconds)
    cpu = servers.cpu_of(server.pid) - cpu
    found = {
        "p50 ms": percentile(delays, 0.5),
        "p99 ms": percentile(delays, 0.99),
        "events/s": len(delays) / seconds,
        "KiB/stream": (servers.memory_of(server.pid) - memory) / len(paths) / 1024,
        "server cores": cpu / seconds,
    }
    for stream in streams:
        stream.transport.close()
    return found
