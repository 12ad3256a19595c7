"""What a job costs the library itself, in calls of functions: a count that no machine changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jdobb_async_queue import JobQueue, NewJob

TYPE = "email"
DATA = {"path": "/data/in/file.pdf", "options": {"pages": [1, 2, 3], "dpi": 300}, "note": "x" * 19}
JOBS = 100


@contextmanager
def counted() -> Iterator[list[str]]:
    """Yield a list that grows with each call of a function, in Python or in C."""
    calls: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event in {"call", "c_call"}:
            calls.append(event)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@pytest.fixture
async def queue():
    async with JobQueue.from_url("memory://") as queue:
        yield queue


@pytest.fixture
def new_jobs():
    return [NewJob(job_type=TYPE, data=DATA) for _ in range(JOBS)]


async def test_an_enqueue_is_at_most_125_calls(queue):
    with counted() as calls:
        for _ in range(JOBS):
            await queue.enqueue(TYPE, DATA)
    assert JOBS <= len(calls) <= 125 * JOBS


async def test_a_job_of_a_batch_is_at_most_120_calls(queue, new_jobs):
    with counted() as calls:
        await queue.enqueue_many(new_jobs)
    assert JOBS <= len(calls) <= 120 * JOBS


async def test_a_claim_is_at_most_125_calls_and_a_completion_80(queue, new_jobs):
    await queue.enqueue_many(new_jobs)

    with counted() as claiming:
        jobs = [await queue.claim([TYPE]) for _ in range(JOBS)]
    with counted() as completing:
        for job in jobs:
            assert await queue.complete(job.id, {"ok": True}, lease_token=job.lease_token)

    assert JOBS <= len(claiming) <= 125 * JOBS
    assert JOBS <= len(completing) <= 80 * JOBS
