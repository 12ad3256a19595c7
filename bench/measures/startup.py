"""What it takes to start, and what it costs to do nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench import servers
from bench.bench import Bench
from bench.environments import ROOT, Unavailable
from bench.redis_side import Figures
from bench.roster import OURS, Peer

NAME = "startup"
TITLE = "Starting, and doing nothing"
MAIN = "ms"
BASE = None
_MODULES = {OURS: "jdobb_async_queue", "taskiq": "taskiq_redis"}


def measure(bench: Bench) -> None:
    """Start each in turn, and let it rest once."""
    for number in range(bench.rounds):
        for peer in bench.peers:
            if not peer.node:
                _import(bench, peer)
        _start(bench, "jdobb --help", [sys.executable, "-m", "jdobb_service.cli", "--help"])
        _serve(bench)
        for peer in bench.peers if number == 0 else []:
            _rest(bench, peer)


def _import(bench: Bench, peer: Peer) -> None:
    python = bench.command_of(peer)[0]
    module = _MODULES.get(peer.name, peer.name)

    def sample() -> dict[str, float]:
        return {"ms": _seconds_of([python, "-c", f"import {module}"]) * 1e3}

    bench.attempt(NAME, peer.name, "import in a new process", sample)


def _start(bench: Bench, case: str, command: list[str]) -> None:
    bench.attempt(NAME, OURS, case, lambda: {"ms": _seconds_of(command) * 1e3})


def _serve(bench: Bench) -> None:
    def sample() -> dict[str, float]:
        with bench.new_folder() as folder:
            url = f"sqlite:///{folder / 'jobs.db'}"
            with servers.ours(url, folder) as server:
                return {"ms": server.ready_after * 1e3, **_resting(server.pid, _rest_of(bench))}

    bench.attempt(NAME, OURS, "jdobb serve over SQLite: ready, then idle", sample)


def _rest(bench: Bench, peer: Peer) -> None:
    def sample() -> dict[str, float]:
        bench.empty_redis()
        slots = max(slots for slots in peer.slots if slots <= 10)  # noqa: PLR2004 - as in the latency
        with bench.program(peer, "serve", slots=slots) as program:
            program.expect("ready")
            program.go()
            time.sleep(1)
            seconds = _rest_of(bench)
            before = Figures.of(bench.redis)
            rested = _resting(program.pid, seconds)
            reads = Figures.of(bench.redis).reads - before.reads
        return {**rested, "reads/min": max(0, reads - _OWN_READS) / seconds * 60}

    bench.attempt(NAME, peer.name, "idle worker over Redis", sample)


_OWN_READS = 3
"""What the second look at Redis itself takes: a greeting, INFO, an end."""


def _resting(pid: int, seconds: float) -> dict[str, float]:
    before = servers.cpu_of(pid)
    time.sleep(seconds)
    return {
        "idle CPU %": (servers.cpu_of(pid) - before) / seconds * 100,
        "MiB": servers.memory_of(pid) / 2**20,
    }


def _rest_of(bench: Bench) -> float:
    return 1.0 if bench.quick else 10.0


def _seconds_of(command: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "COLUMNS": "80"}, check=False, capture_output=True, text=True
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise Unavailable((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return seconds
