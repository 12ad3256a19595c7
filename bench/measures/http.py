"""What the service costs beside endpoints that do nothing, on the same uvicorn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from bench import load, servers
from bench.bench import Bench
from bench.peers.speaking import PAYLOAD
from bench.results import percentile
from bench.roster import OURS
from bench.servers import Server

NAME = "http"
TITLE = "HTTP: 32 connections from one process beside the server"
MAIN = "requests/s"
FASTAPI, STARLETTE = "FastAPI, nothing", "Starlette, nothing"
BASE = FASTAPI
STORES = ("memory", "sqlite", "redis")
_CONNECTIONS = 32
_POST = load.post("/jobs", json.dumps({"job_type": "noop", "data": PAYLOAD}).encode())


def measure(bench: Bench) -> None:
    """Ask each server in turn."""
    for _ in range(bench.rounds):
        for who in (FASTAPI, STARLETTE, *(of(store) for store in STORES)):
            _ask(bench, who)
        for store in STORES:
            _drain(bench, store)


def of(store: str) -> str:
    """Return the name of our service over a store."""
    return f"{OURS}, {store}"


def _ask(bench: Bench, who: str) -> None:
    requests = bench.jobs(10_000)

    def posting() -> dict[str, float]:
        with _server(bench, who) as server:
            uvloop.run(load.send(server.port, [_POST] * (requests // 10), _CONNECTIONS))
            return _cost(server, [_POST] * requests)

    def reading() -> dict[str, float]:
        with _server(bench, who) as server:
            _, _, answers = uvloop.run(load.send(server.port, [_POST] * 100, _CONNECTIONS))
            known = load.ids(answers) or ["one"]
            gets = [load.get(f"/jobs/{known[number % len(known)]}") for number in range(requests)]
            uvloop.run(load.send(server.port, gets[: requests // 10], _CONNECTIONS))
            return _cost(server, gets)

    bench.attempt(NAME, who, "POST /jobs", posting)
    bench.attempt(NAME, who, "GET /jobs/{id}", reading)


def _cost(server: Server, requests: list[bytes]) -> dict[str, float]:
    before = servers.cpu_of(server.pid)
    seconds, delays, _ = uvloop.run(load.send(server.port, requests, _CONNECTIONS))
    return {
        "requests/s": len(requests) / seconds,
        "server µs/request": (servers.cpu_of(server.pid) - before) / len(requests) * 1e6,
        "p50 ms": percentile(delays, 0.5) * 1e3,
        "p99 ms": percentile(delays, 0.99) * 1e3,
    }


def _drain(bench: Bench, store: str) -> None:
    """Post while the same process runs the jobs; the time ends when the last one is complete."""
    requests = bench.jobs(5000)

    def sample() -> dict[str, float]:
        with _server(bench, of(store), workers=True) as server:
            uvloop.run(load.send(server.port, [_POST] * 100, _CONNECTIONS))
            _wait_until_complete(server, 100)
            before, begun = servers.cpu_of(server.pid), time.perf_counter()
            _, delays, _ = uvloop.run(load.send(server.port, [_POST] * requests, _CONNECTIONS))
            _wait_until_complete(server, 100 + requests)
            seconds = time.perf_counter() - begun
            return {
                "requests/s": requests / seconds,
                "server µs/request": (servers.cpu_of(server.pid) - before) / requests * 1e6,
                "p50 ms": percentile(delays, 0.5) * 1e3,
                "p99 ms": percentile(delays, 0.99) * 1e3,
            }

    bench.attempt(NAME, of(store), "POST /jobs, until all are complete", sample)


def _wait_until_complete(server: Server, jobs: int) -> None:
    while True:
        _, _, answers = uvloop.run(load.send(server.port, [load.get("/stats")], 1))
        if json.loads(answers[0])["counts"]["complete"] >= jobs:
            return
        time.sleep(0.01)


@contextmanager
def _server(bench: Bench, who: str, *, workers: bool = False) -> Iterator[Server]:
    with bench.new_folder() as folder:
        if who == FASTAPI:
            with servers.reference("fastapi_nothing", folder) as server:
                yield server
        elif who == STARLETTE:
            with servers.reference("starlette_nothing", folder) as server:
                yield server
        else:
            options = ["--max-concurrent", "50"] if workers else ["--no-workers"]
            with servers.ours(_url(bench, who.removeprefix(f"{OURS}, "), folder), folder, *options) as server:
                yield server


def _url(bench: Bench, store: str, folder: Path) -> str:
    if store == "redis":
        bench.empty_redis()
        return bench.redis.url
    return "memory://" if store == "memory" else f"sqlite:///{folder / 'jobs.db'}"
