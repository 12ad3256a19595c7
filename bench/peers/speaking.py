"""What all peers' programs share: the protocol, the jobs, and the meter. Standard library only.

The driver writes a request, one JSON object on a line, to the program's standard input. The program gets
ready and says ``{"said": "ready"}``; the driver looks at Redis and writes another line; the program does its
work and says what came of it. Requests (``do``):

- ``drain``: fill the queue with ``fill`` jobs, be ready, then work with ``slots`` slots until ``jobs`` of
  them have started, or until ``seconds`` have passed since the first one. Says ``drained`` with ``jobs``,
  ``seconds`` and ``cpu``.
- ``enqueue``: be ready once one job has been enqueued, then enqueue ``jobs`` from ``callers`` at once, or in
  bulk when ``callers`` is 0. Says ``enqueued`` with ``seconds`` and ``cpu``.
- ``serve``: be ready, then work until it is ended. Says ``started`` with ``at`` for each job named ``note``.
- ``ask``: be ready, then enqueue ``jobs`` jobs named ``note``, each when the one before has its result (or,
  where no results are kept, has had 20 ms). Says ``asked`` with ``enqueued`` and ``results``.

``seconds`` are of the clock, ``cpu`` of the process's processor time; ``at``, ``enqueued`` and ``results``
are instants in nanoseconds of ``time.time_ns``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PAYLOAD = {"path": "/data/in/file.pdf", "options": {"pages": [1, 2, 3], "dpi": 300}, "note": "x" * 19}
"""95 bytes of JSON."""
WAIT = 0.01
"""Seconds that a job named ``wait`` takes."""
_FILLERS = 50
_PATIENCE = 10.0
_WITHOUT_RESULTS = 0.02

_driver = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what a library prints must not come between the lines for the driver
request: dict[str, Any] = {}
"""What the driver asked for."""


def say(**words: Any) -> None:
    """Write a line to the driver."""
    _driver.write(json.dumps(words) + "\n")
    _driver.flush()


def ready() -> None:
    """Tell the driver, and return when it says go."""
    say(said="ready")
    sys.stdin.readline()


class Meter:
    """Counts the jobs that start, and ends the program when there were enough."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._begun = self._cpu = 0.0

    def started(self) -> None:
        """Count one."""
        number = next(self._numbers)
        if number == 1:
            self._begun, self._cpu = time.perf_counter(), time.process_time()
            return
        passed = time.perf_counter() - self._begun
        if number == request["jobs"] or passed >= request["seconds"]:
            cpu = time.process_time() - self._cpu
            say(said="drained", jobs=number - 1, seconds=passed, cpu=cpu)
            os._exit(0)  # every library ends in its own time; what it does then is not measured


meter = Meter()


async def noop(*_: Any, **__: Any) -> None:
    """Do nothing."""
    meter.started()


async def wait(*_: Any, **__: Any) -> None:
    """Wait, as a job that calls another service does."""
    meter.started()
    await asyncio.sleep(WAIT)


async def note(*_: Any, **__: Any) -> None:
    """Tell when it started."""
    say(said="started", at=time.time_ns())


JOBS = {"noop": noop, "wait": wait, "note": note}
"""What jobs of each name do, for libraries that are awaited."""


def noop_in_thread(*_: Any, **__: Any) -> None:
    """Do nothing."""
    meter.started()


def wait_in_thread(*_: Any, **__: Any) -> None:
    """Wait, as a job that calls another service does."""
    meter.started()
    time.sleep(WAIT)


def note_in_thread(*_: Any, **__: Any) -> None:
    """Tell when it started."""
    say(said="started", at=time.time_ns())


THREAD_JOBS = {"noop": noop_in_thread, "wait": wait_in_thread, "note": note_in_thread}
"""The same for libraries that block."""


def shares(jobs: int, most: int) -> Iterable[int]:
    """Cut a number of jobs into bulks."""
    return [min(most, jobs - begin) for begin in range(0, jobs, most)]


class AsyncPeer:
    """A library that is awaited."""

    bulk = 0
    """Jobs that one call can enqueue; 0 when there is no such call."""
    keeps_results = True

    async def open(self) -> None:
        """Connect to ``request["url"]``."""
        raise NotImplementedError

    async def enqueue(self, job: str) -> Any:
        """Enqueue one job; return what ``result`` takes."""
        raise NotImplementedError

    async def enqueue_many(self, job: str, jobs: int) -> None:
        """Enqueue at most ``bulk`` jobs in one call."""
        raise NotImplementedError

    async def result(self, handle: Any) -> None:
        """Return when the job has its result, as soon as the library can tell."""
        raise NotImplementedError

    async def work(self) -> None:
        """Run jobs with ``request["slots"]`` slots until the program ends."""
        raise NotImplementedError

    async def run(self) -> None:
        """Do what the driver asks."""
        await self.open()
        if request["do"] == "drain":
            await self._put(request["job"], request["fill"], 0 if self.bulk else _FILLERS)
            ready()
            await self.work()
        elif request["do"] == "serve":
            ready()
            await self.work()
        elif request["do"] == "enqueue":
            await self.enqueue(request["job"])
            ready()
            begun, cpu = time.perf_counter(), time.process_time()
            await self._put(request["job"], request["jobs"], request["callers"])
            say(said="enqueued", seconds=time.perf_counter() - begun, cpu=time.process_time() - cpu)
        else:
            ready()
            await self._ask(request["jobs"])

    async def _put(self, job: str, jobs: int, callers: int) -> None:
        if callers == 0:
            for share in shares(jobs, self.bulk):
                await self.enqueue_many(job, share)
            return
        left = iter(range(jobs))

        async def caller() -> None:
            for _ in left:
                await self.enqueue(job)

        await asyncio.gather(*(caller() for _ in range(callers)))

    async def _ask(self, jobs: int) -> None:
        enqueued, results = [], []
        for _ in range(jobs):
            enqueued.append(time.time_ns())
            handle = await self.enqueue("note")
            if self.keeps_results:
                await asyncio.wait_for(self.result(handle), _PATIENCE)
                results.append(time.time_ns())
            else:
                await asyncio.sleep(_WITHOUT_RESULTS)
        say(said="asked", enqueued=enqueued, results=results)


class ThreadPeer:
    """A library that blocks; its jobs run in threads."""

    bulk = 0
    keeps_results = True

    def open(self) -> None:
        """Connect to ``request["url"]``."""
        raise NotImplementedError

    def enqueue(self, job: str) -> Any:
        """Enqueue one job; return what ``result`` takes."""
        raise NotImplementedError

    def enqueue_many(self, job: str, jobs: int) -> None:
        """Enqueue at most ``bulk`` jobs in one call."""
        raise NotImplementedError

    def result(self, handle: Any) -> None:
        """Return when the job has its result, as soon as the library can tell."""
        raise NotImplementedError

    def work(self) -> None:
        """Run jobs with ``request["slots"]`` slots; return when they are being run, or never."""
        raise NotImplementedError

    def run(self) -> None:
        """Do what the driver asks."""
        self.open()
        if request["do"] in {"drain", "serve"}:
            if request["do"] == "drain":
                self._put(request["job"], request["fill"], 0 if self.bulk else 1)
            ready()
            self.work()
            threading.Event().wait()
        elif request["do"] == "enqueue":
            self.enqueue(request["job"])
            ready()
            begun, cpu = time.perf_counter(), time.process_time()
            self._put(request["job"], request["jobs"], request["callers"])
            say(said="enqueued", seconds=time.perf_counter() - begun, cpu=time.process_time() - cpu)
        else:
            ready()
            self._ask(request["jobs"])

    def _put(self, job: str, jobs: int, callers: int) -> None:
        if callers == 0:
            for share in shares(jobs, self.bulk):
                self.enqueue_many(job, share)
            return
        left = itertools.count()

        def caller() -> None:
            while next(left) < jobs:
                self.enqueue(job)

        with ThreadPoolExecutor(callers) as threads:
            for done in [threads.submit(caller) for _ in range(callers)]:
                done.result()

    def _ask(self, jobs: int) -> None:
        enqueued, results = [], []
        for _ in range(jobs):
            enqueued.append(time.time_ns())
            handle = self.enqueue("note")
            if self.keeps_results:
                self.result(handle)
                results.append(time.time_ns())
            else:
                time.sleep(_WITHOUT_RESULTS)
        say(said="asked", enqueued=enqueued, results=results)


def main(peer: type[AsyncPeer | ThreadPeer]) -> None:
    """Run a peer's program."""
    logging.disable(logging.WARNING)
    request.update({"seconds": 1e9, **json.loads(sys.stdin.readline())})
    chosen = peer()
    if isinstance(chosen, AsyncPeer):
        import uvloop  # noqa: PLC0415 - where no library is awaited, it is not installed

        uvloop.run(chosen.run())
    else:
        chosen.run()
