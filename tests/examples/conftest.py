"""A real worker with the example handlers, on a queue in memory and a files folder of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.handlers import router
from jdobb_async_queue import Job, JobQueue, Worker
from tests.support.waiting import WITHIN

Run = Callable[..., Awaitable[Job]]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the files folder that the handlers see."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setenv("JDOBB_FILES_ROOT", str(folder))
    return folder


@pytest.fixture
async def queue() -> AsyncIterator[JobQueue]:
    async with JobQueue() as queue:
        yield queue


@asynccontextmanager
async def working(queue: JobQueue) -> AsyncIterator[None]:
    """Run a worker with one slot, so that a second job starts only when the first has really ended."""
    worker = Worker(queue, max_concurrent=1)
    worker.include_router(router)
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        await worker.stop()
        await running


@pytest.fixture
async def run(files: Path, queue: JobQueue) -> AsyncIterator[Run]:
    """Return what runs a job to its end; arguments after the job type are its data."""

    async def run(job_type: str, **data: Any) -> Job:
        return await queue.wait(await queue.enqueue(job_type, data), timeout=2 * WITHIN)

    async with working(queue):
        yield run


@pytest.fixture
async def run_samples(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Return the same with the files folder that the examples bring along."""
    monkeypatch.delenv("JDOBB_FILES_ROOT", raising=False)

    async def run(job_type: str, **data: Any) -> Job:
        return await queue.wait(await queue.enqueue(job_type, data), timeout=2 * WITHIN)

    async with working(queue):
        yield run
