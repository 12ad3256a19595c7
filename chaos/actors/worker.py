"""A worker process: the library's worker with all handlers, its store watched and its clock given."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from pathlib import Path

from chaos.actors import ledger
from chaos.actors.clock import JumpingClock
from chaos.actors.handlers import Handlers
from chaos.actors.part import Part
from chaos.actors.witness import witness_of
from jdobb_async_queue import JobQueue, QueueBackend, Worker
from jdobb_async_queue.clock import Clock

_HEADROOM = 512 * 1024 * 1024
"""Bytes of address space beyond what the process has at its start."""


def main() -> None:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    part = Part.mine()
    if part.options.get("ledger"):
        ledger.install(part)
    asyncio.run(_run(part))


async def _run(part: Part) -> None:
    write = part.journal()
    clock_file = part.options.get("clock")
    backend = _backend(part, None if clock_file is None else JumpingClock(Path(clock_file)))
    queue = JobQueue(witness_of(backend, write, part.who), lease=part.lease)
    worker = Worker(queue, max_concurrent=part.options.get("slots", 8), shutdown_grace=5.0)
    worker.include_router(Handlers(part, write, queue).router())
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: stops.append(asyncio.ensure_future(worker.stop()))
    )
    stops: list[asyncio.Future[None]] = []
    _limit_memory()
    try:
        await worker.run()
    finally:
        await queue.close()


def _backend(part: Part, clock: Clock | None) -> QueueBackend:
    from jdobb_async_queue.backends.redis import RedisBackend  # noqa: PLC0415 - each is loaded only where it is used
    from jdobb_async_queue.backends.sqlite import SQLiteBackend  # noqa: PLC0415 - the same

    if part.backend_url.startswith("sqlite"):
        return SQLiteBackend(part.backend_url, clock=clock)
    return RedisBackend(part.backend_url, clock=clock)


def _limit_memory() -> None:
    """Bound the address space, so that a hog meets its end before the machine does."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _HEADROOM, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
