"""Builders: they bring jobs into the state that a test is about."""

from __future__ import annotations

from typing import Any

from jdobb_async_queue import Job, JobQueue, JobUpdate
from jdobb_async_queue.backends.base import ClaimRequest, Swept
from jdobb_async_queue.records import Retention
from jdobb_async_queue.views import update_view

TYPE = "email"
FOR_EVER = Retention(None, None, None)
STATES = ("pending", "delayed", "processing", "complete", "failed", "cancelled")


async def get_job(queue: JobQueue, job_id: str) -> Job:
    """Return a job that must exist."""
    job = await queue.get(job_id)
    assert job is not None
    return job


async def make_job(queue: JobQueue, job_type: str = TYPE, **options: Any) -> Job:
    """Enqueue a job and return it as it is stored."""
    return await get_job(queue, await queue.enqueue(job_type, **options))


async def claim_job(queue: JobQueue, job_type: str | None = TYPE, **options: Any) -> Job:
    """Claim a job that must be there."""
    job = await queue.claim(None if job_type is None else [job_type], **options)
    assert job is not None
    return job


async def start_job(
    queue: JobQueue,
    job_type: str = TYPE,
    *,
    lease: float | None = None,
    worker_id: str | None = None,
    **options: Any,
) -> Job:
    """Enqueue a job and claim it; nothing else of its type may be ready."""
    job_id = await queue.enqueue(job_type, **options)
    job = await claim_job(queue, job_type, lease=lease, worker_id=worker_id)
    assert job.id == job_id
    return job


async def make_in_state(queue: JobQueue, state: str, job_type: str = TYPE, **options: Any) -> Job:
    """Return a job in one of ``STATES``; past its claim it still carries the lease token it had."""
    if state == "pending":
        return await make_job(queue, job_type, **options)
    if state == "delayed":
        return await make_job(queue, job_type, delay=60, **options)
    job = await start_job(queue, job_type, **options)
    if state == "complete":
        assert await queue.complete(job.id, {"sent": 1}, lease_token=job.lease_token)
    elif state == "failed":
        assert await queue.fail(job.id, "boom", lease_token=job.lease_token, retry=False)
    elif state == "cancelled":
        assert await queue.cancel(job.id, "not needed")
    else:
        assert state == "processing"
    stored = await get_job(queue, job.id)
    assert stored.status == state
    return stored.model_copy(update={"lease_token": job.lease_token})


async def claim_order(queue: JobQueue, job_types: list[str] | None = None) -> list[str]:
    """Claim everything that is ready, one by one, and return the ids."""
    ids: list[str] = []
    while (job := await queue.claim(job_types)) is not None:
        ids.append(job.id)
    return ids


async def log_of(queue: JobQueue, job_id: str, after: int = 0) -> list[JobUpdate]:
    """Return the job's kept updates with ``seq > after``."""
    page = await queue.backend.read_updates(job_id, after)
    assert page is not None
    return [update_view(page.record, update) for update in page.updates]


async def sweep(queue: JobQueue) -> Swept:
    """Do what the sweeper of a worker does about leases and ttl."""
    return await queue.backend.sweep(100, FOR_EVER)


async def next_due(queue: JobQueue, job_types: list[str] | None) -> int | None:
    """Return when a claim that finds nothing says to claim again."""
    types = None if job_types is None else tuple(job_types)
    claimed = await queue.backend.claim_pending_jobs(ClaimRequest(types, 1, "token", 1000, None, FOR_EVER))
    assert claimed.records == []
    return claimed.next_due
