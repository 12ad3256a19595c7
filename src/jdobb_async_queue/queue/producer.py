"""Enqueueing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jdobb_async_queue.errors import PayloadTooLarge
from jdobb_async_queue.models import Idempotency, JobPriority, NewJob, Submission
from jdobb_async_queue.queue.core import QueueCore
from jdobb_async_queue.views import job_view

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jdobb_async_queue.backends.base import Stored
    from jdobb_async_queue.models import OnConflict, UniqueUntil
    from jdobb_async_queue.records import NewRecord
    from jdobb_async_queue.retry import RetryPolicy

MAX_BATCH_JOBS = 1000
MAX_BATCH_BYTES = 8 * 1024 * 1024


class Producer(QueueCore):
    """The calls that put jobs in."""

    async def enqueue(
        self,
        job_type: str,
        data: dict[str, Any] | None = None,
        priority: JobPriority | str = JobPriority.NORMAL,
        ttl: float | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        job_id: str | None = None,
        delay: float | None = None,
        run_at: datetime | None = None,
        timeout: float | None = None,
        max_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        max_lost: int | None = None,
        unique_key: str | None = None,
        unique_until: UniqueUntil = "finished",
        on_conflict: OnConflict = "return",
    ) -> str:
        """Store a new job and return its id; when this returns, the job is safe.

        ``data`` and ``metadata`` are JSON objects. ``ttl``, ``delay`` and ``timeout`` are seconds:
        ``ttl`` within which the first attempt must start, ``delay`` before which it may not (or
        ``run_at``, an aware datetime), ``timeout`` for one attempt. ``max_attempts`` wins over
        ``retry``'s. ``unique_key`` lets one live job of the type exist at a time; ``on_conflict`` says
        what a second one meets: the existing id, ``DuplicateJob``, or the waiting job takes the new
        content.

        Raises ``ValueError`` or ``TypeError`` naming the field, ``PayloadTooLarge``, ``JobExists`` (own
        id, other content), ``DuplicateJob``, ``QueueFull``, ``BackendUnavailable``.
        """
        fields: dict[str, Any] = {
            "job_type": job_type,
            "data": data,
            "priority": priority,
            "ttl": ttl,
            "metadata": metadata,
            "job_id": job_id,
            "delay": delay,
            "run_at": run_at,
            "timeout": timeout,
            "max_attempts": max_attempts,
            "retry": retry,
            "max_lost": max_lost,
            "unique_key": unique_key,
            "unique_until": unique_until,
            "on_conflict": on_conflict,
            "request_id": None,
            "traceparent": None,
        }
        record = self._new_jobs.record(fields)
        backend = await self._ready()
        return (await backend.store([record]))[0].record.id

    async def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Store up to 1,000 new jobs (8 MiB of JSON) in one step, all or none; return their ids in order.

        Raises what ``enqueue`` raises, with ``jobs[n]`` in front; nothing is stored then.
        """
        return [item.record.id for item in await self._store_many(jobs)]

    async def submit(self, job: NewJob, *, idempotency: Idempotency | None = None) -> Submission:
        """Store a new job and tell what became of it: created, met an existing one, or replayed a key.

        Raises what ``enqueue`` raises, and ``IdempotencyKeyReused`` or ``JobGone`` with ``idempotency``.
        """
        record = self._new_jobs.record(_fields(job, "job"))
        key = None if idempotency is None else _idempotency(idempotency)
        backend = await self._ready()
        stored = (await backend.store([record], idempotency=key))[0]
        return Submission(job=job_view(stored.record), created=stored.created, replayed=stored.replayed)

    async def submit_many(self, jobs: Sequence[NewJob]) -> list[Submission]:
        """Store new jobs as ``enqueue_many`` does and tell of each what became of it."""
        stored = await self._store_many(jobs)
        return [Submission(job=job_view(item.record), created=item.created) for item in stored]

    async def _store_many(self, jobs: Sequence[NewJob]) -> list[Stored]:
        if not isinstance(jobs, (list, tuple)):
            msg = f"jobs must be a list of NewJob, got {type(jobs).__name__}"
            raise TypeError(msg)
        if len(jobs) > MAX_BATCH_JOBS:
            msg = f"jobs must be at most {MAX_BATCH_JOBS} in one call, got {len(jobs)}"
            raise ValueError(msg)
        if not jobs:
            return []
        records = [self._batch_record(index, job) for index, job in enumerate(jobs)]
        size = sum(len(record.data) + len(record.metadata) for record in records)
        if size > MAX_BATCH_BYTES:
            raise PayloadTooLarge("jobs", size, MAX_BATCH_BYTES)
        backend = await self._ready()
        return await backend.store(records)

    def _batch_record(self, index: int, job: Any) -> NewRecord:
        new = _fields(job, f"jobs[{index}]")
        try:
            return self._new_jobs.record(new)
        except PayloadTooLarge as error:
            raise PayloadTooLarge(f"jobs[{index}].{error.field}", error.size, error.limit) from None
        except (ValueError, TypeError) as error:
            msg = f"jobs[{index}].{error}"
            raise type(error)(msg) from None


def _fields(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, NewJob):
        msg = f"{field} must be a NewJob, got {type(value).__name__}"
        raise TypeError(msg)
    return vars(value)


def _idempotency(value: Any) -> Idempotency:
    if not isinstance(value, Idempotency):
        msg = f"idempotency must be an Idempotency, got {type(value).__name__}"
        raise TypeError(msg)
    return value
