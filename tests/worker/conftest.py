"""A queue on the real clock, and a worker that runs beside the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from jdobb_async_queue import JobQueue, Worker
from jdobb_async_queue.clock import SystemClock
from jdobb_async_queue.instrumentation.facts import Fact


@pytest.fixture
def queue(make_queue: Callable[..., JobQueue]) -> JobQueue:
    return make_queue(clock=SystemClock())


@pytest.fixture
async def start(queue: JobQueue) -> AsyncIterator[Callable[..., Any]]:
    """Return a starter: ``start(email=handler, …, worker options)``; its workers are stopped at the end."""
    running: list[tuple[Worker, asyncio.Task[None]]] = []

    async def begin(*, on: JobQueue = queue, routers: Any = (), **options: Any) -> Worker:
        handlers = {name: options.pop(name) for name in list(options) if callable(options[name])}
        lifespan = handlers.pop("lifespan", None)
        options.setdefault("shutdown_grace", 0.0)
        worker = Worker(on, lifespan=lifespan, **options)
        for job_type, handler in handlers.items():
            worker.register_handler(job_type, handler)
        for router in routers:
            worker.include_router(router)
        worker.facts = facts = []
        worker.add_listener(facts.append)
        task = asyncio.ensure_future(worker.run())
        await asyncio.sleep(0)
        running.append((worker, task))
        return worker

    yield begin
    for worker, task in running:
        await worker.stop()
        await task


def told(worker: Any, kind: type) -> list[Fact]:
    return [fact for fact in worker.facts if isinstance(fact, kind)]
