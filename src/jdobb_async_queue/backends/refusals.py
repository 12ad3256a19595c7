"""Why a new job is not stored, in the same words on every backend."""

from __future__ import annotations

from jdobb_async_queue.errors import DuplicateJob, IdempotencyKeyReused, JobExists, JobGone


def exists(job_id: str) -> JobExists:
    """Return the refusal of an id that belongs to another job."""
    return JobExists(f"the id {job_id!r} belongs to a job with other content", job_id)


def duplicate(job_type: str, unique_key: str | None, holder: str) -> DuplicateJob:
    """Return the refusal of a unique key that the live job ``holder`` has."""
    message = f"a live {job_type!r} job holds the unique key {unique_key!r}"
    return DuplicateJob(message, holder, job_type=job_type, unique_key=unique_key)


def reused(job_id: str) -> IdempotencyKeyReused:
    """Return the refusal of an idempotency key that was used for another request."""
    return IdempotencyKeyReused("the idempotency key was used before with another body", job_id)


def gone(job_id: str) -> JobGone:
    """Return the refusal of an idempotency key whose job is no more."""
    return JobGone("the job of this idempotency key has been removed", job_id)
