"""Helpers for the tests of programs that use the library.

``drain`` and ``run_job`` run real handlers through a real worker; ``ManualClock`` lets delays, leases and
time-to-live pass without waiting::

    clock = ManualClock()
    queue = JobQueue(MemoryBackend(clock=clock))
    await queue.enqueue("report", {"day": 1}, delay=3600)
    clock.advance(3600)
    assert await drain(queue, router) == 1
"""

from __future__ import annotations

from typing import Any

from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.errors import JobNotFound
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.models import Job
from jdobb_async_queue.queue import JobQueue
from jdobb_async_queue.router import JobRouter
from jdobb_async_queue.worker import Worker

__all__ = ["ManualClock", "MemoryBackend", "assert_enqueued", "drain", "run_job"]


class ManualClock:
    """A clock that stands still until it is moved; a backend takes it as ``clock=``."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._millis = round(start * 1000)
        self._first = self._millis

    def now(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return self._millis

    def monotonic(self) -> float:
        """Return the seconds that the clock has been moved."""
        return (self._millis - self._first) / 1000

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        if seconds < 0:
            msg = f"seconds must be >= 0, got {seconds!r}"
            raise ValueError(msg)
        self._millis += round(seconds * 1000)


async def drain(queue: JobQueue, *routers: JobRouter, max_concurrent: int = 10) -> int:
    """Run ready jobs, and those that they enqueue, until none is ready; return how many attempts ended.

    Delayed jobs and those that back off stay: move a ``ManualClock`` and drain again. Only the job types
    of ``routers`` run.
    """
    attempts = 0

    def count(fact: facts.Fact) -> None:
        nonlocal attempts
        attempts += isinstance(fact, facts.JobSettled)

    worker = Worker(queue, max_concurrent=max_concurrent)
    for router in routers:
        worker.include_router(router)
    worker.add_listener(count)
    await worker.run(burst=True)
    return attempts


async def run_job(queue: JobQueue, job_id: str, *routers: JobRouter) -> Job:
    """Run the ready jobs of this job's type, one at a time, and return the job as it is then.

    Raises ``JobNotFound``, and ``AssertionError`` when the job is not ready or no router handles it.
    """
    before = await queue.get(job_id)
    if before is None:
        raise JobNotFound(job_id)
    worker = Worker(queue, job_types=[before.job_type], max_concurrent=1)
    for router in routers:
        worker.include_router(router)
    await worker.run(burst=True)
    after = await queue.get(job_id)
    if after is None:
        raise JobNotFound(job_id)
    if after.attempt == before.attempt:
        msg = f"job {job_id!r} ({after.job_type}) is {after.status.value} and did not run"
        raise AssertionError(msg)
    return after


async def assert_enqueued(queue: JobQueue, job_type: str, **expected: Any) -> Job:
    """Return the newest job of this type whose fields equal ``expected``; ``data`` may be a part of it.

    Raises ``AssertionError`` that lists what there is instead. Example:
    ``await assert_enqueued(queue, "mail", data={"to": "a@example.org"})``.
    """
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await queue.list_jobs(job_type=job_type, limit=200, cursor=cursor)
        for job in page.items:
            if all(_equals(getattr(job, name), value) for name, value in expected.items()):
                return job
            seen.append(f"{job.id} {job.status.value} {job.data!r}"[:200])
        cursor = page.next_cursor
        if cursor is None:
            break
    there = "\n  ".join(seen[:20]) or "none"
    msg = f"no {job_type!r} job with {expected!r}; there are:\n  {there}"
    raise AssertionError(msg)


def _equals(found: Any, wanted: Any) -> bool:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(key in found and _equals(found[key], value) for key, value in wanted.items())
    return bool(found == wanted)
