"""Records as users see them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.encoding import EMPTY, decode_object
from jdobb_async_queue.models import (
    PRIORITIES,
    STATUSES,
    AttemptError,
    Job,
    JobStatus,
    JobTypeInfo,
    JobUpdate,
    WorkerInfo,
    instant,
)
from jdobb_async_queue.records import resolve_settings

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import UpdatePage
    from jdobb_async_queue.records import JobRecord, TypeRecord, UpdateRecord, WorkerRecord

_STALE_AFTER = 60_000


def job_view(record: JobRecord, *, claimed: bool = False) -> Job:
    """Return the job of a record; only a claim shows the lease."""
    settings = record.effective()
    fields: dict[str, Any] = {
        "id": record.id,
        "job_type": record.job_type,
        "data": decode_object(record.data),
        "status": STATUSES[record.status],
        "priority": PRIORITIES[record.priority],
        "progress": record.progress,
        "message": record.message,
        "results": None if record.results is None else decode_object(record.results),
        "error": record.error,
        "metadata": {} if record.metadata == EMPTY else decode_object(record.metadata),
        "created_at": instant(record.created_at),
        "updated_at": instant(record.updated_at),
        "completed_at": None if record.completed_at is None else instant(record.completed_at),
        "ttl": None if record.ttl is None else _seconds(record.ttl),
        "attempt": record.attempt,
        "failures": record.failures,
        "losses": record.losses,
        "max_attempts": settings.retry.max_attempts,
        "max_lost": settings.max_lost,
        "run_at": instant(record.run_at),
        "started_at": None if record.started_at is None else instant(record.started_at),
        "timeout": None if settings.timeout is None else float(settings.timeout),
        "unique_key": record.unique_key,
        "errors": [AttemptError(**error) for error in json.loads(record.errors)] if record.errors else [],
        "version": record.version,
        "worker_id": record.worker_id,
        "request_id": record.request_id,
        "traceparent": record.traceparent,
    }
    if claimed and record.lease_expires_at is not None:
        fields["lease_token"] = record.lease_token
        fields["lease_expires_at"] = instant(record.lease_expires_at)
    given = set(fields)
    fields.setdefault("lease_token", None)
    fields.setdefault("lease_expires_at", None)
    return _unchecked(fields, given)


def update_view(record: JobRecord, update: UpdateRecord) -> JobUpdate:
    """Return an entry of the job's update log; the results of a complete job are the record's."""
    results = update.results
    if update.kind == "status" and update.status == "complete" and record.status == "complete":
        results = record.results
    return JobUpdate(
        job_id=record.id,
        status=JobStatus(update.status),
        progress=update.progress,
        message=update.message,
        results=None if results is None else decode_object(results),
        error=update.error,
        timestamp=instant(update.at),
        seq=update.seq,
        attempt=update.attempt,
        kind=update.kind,  # type: ignore[arg-type]  # the log holds only these kinds
    )


def snapshot(record: JobRecord, *, gap: bool = False) -> JobUpdate:
    """Return the job's present state as an update with the seq of its latest one (0 before the first)."""
    return JobUpdate(
        job_id=record.id,
        status=JobStatus(record.status),
        progress=record.progress,
        message=record.message,
        results=None if record.results is None else decode_object(record.results),
        error=record.error,
        timestamp=instant(record.updated_at),
        seq=record.last_seq,
        attempt=record.attempt,
        gap=gap,
    )


def news(page: UpdatePage, cursor: int) -> list[JobUpdate]:
    """Return what a reading after ``cursor`` found; the present state alone where older was trimmed."""
    if page.record.trimmed_seq > cursor:
        return [snapshot(page.record, gap=True)]
    return [update_view(page.record, update) for update in page.updates]


def job_type_view(stored: TypeRecord, now: int) -> JobTypeInfo:
    """Return a job type's settings in force and its pause."""
    settings = resolve_settings(None, stored.operator, stored.published)
    paused = stored.paused and (stored.pause_until is None or stored.pause_until > now)
    return JobTypeInfo(
        job_type=stored.job_type,
        retry=settings.retry,
        timeout=settings.timeout,
        max_lost=settings.max_lost,
        max_pending=settings.max_pending,
        payload_schema=deepcopy(settings.schema),
        paused=paused,
        pause_reason=stored.pause_reason if paused else None,
        pause_until=instant(stored.pause_until) if paused and stored.pause_until is not None else None,
    )


def worker_view(stored: WorkerRecord, now: int) -> WorkerInfo:
    """Return a worker's entry; it is stale when no heartbeat came for a minute."""
    return WorkerInfo(
        id=stored.id,
        host=stored.host,
        pid=stored.pid,
        slots=stored.slots,
        job_types=list(stored.job_types),
        jobs=list(stored.jobs),
        stopping=list(stored.stopping),
        directive=stored.directive,  # type: ignore[arg-type]  # only the three are stored
        started_at=instant(stored.started_at),
        last_heartbeat_at=instant(stored.last_heartbeat_at),
        stale=stored.last_heartbeat_at < now - _STALE_AFTER,
    )


def _unchecked(fields: dict[str, Any], given: set[str]) -> Job:
    """Return the job that has these fields, which are all in their order; some of them were ``given``.

    Like ``model_construct``, which takes longer than a check.
    """
    job = Job.__new__(Job)
    put = object.__setattr__  # a job is frozen
    put(job, "__dict__", fields)
    put(job, "__pydantic_fields_set__", given)
    put(job, "__pydantic_extra__", None)
    put(job, "__pydantic_private__", None)
    return job


def _seconds(millis: int) -> int | float:
    whole, rest = divmod(millis, 1000)
    return millis / 1000 if rest else whole
