"""Between rows and records."""

from __future__ import annotations

import json
from typing import Any

from jdobb_async_queue.records import JobRecord, TypeRecord, UpdateRecord, WorkerRecord

Row = tuple[Any, ...]


def to_record(row: Row) -> JobRecord:
    """Return the job of a ``{job}`` row, without its type's settings."""
    record = JobRecord(*row[:-1])
    record.holds_key = record.holds_key == 1
    return record


def log_size(row: Row) -> int:
    """Return how many updates of the job are kept."""
    size: int = row[-1]
    return size


def inserted(ns: int, record: JobRecord) -> Row:
    """Return the values of ``insert_job``."""
    return (
        ns, record.id, record.job_type, record.status, record.priority, record.created_at,
        record.updated_at, record.run_at, record.ttl, record.start_by, record.settings,
        record.unique_key, record.unique_until, record.holds_key, record.request_id, record.traceparent,
    )  # fmt: skip


def replaced(record: JobRecord) -> Row:
    """Return the values of ``replace_job``."""
    return (
        record.priority, record.updated_at, record.run_at, record.version, record.error, record.progress,
        record.message, record.started_at, record.ttl, record.start_by, record.settings,
        record.unique_until, record.worker_id, record.lease, record.request_id, record.traceparent,
        record.seq,
    )  # fmt: skip


def started(record: JobRecord, kept: int) -> Row:
    """Return the values of ``start_job``."""
    return (
        record.status, record.updated_at, record.version, record.error, record.progress, record.message,
        record.started_at, record.start_by, record.attempt, record.holds_key, record.worker_id,
        record.lease_token, record.lease_expires_at, record.lease, record.last_seq, record.trimmed_seq,
        kept, record.seq,
    )  # fmt: skip


def moved(record: JobRecord, kept: int) -> Row:
    """Return the values of ``move_job``."""
    return (
        record.status, record.updated_at, record.run_at, record.version, record.error, record.progress,
        record.message, record.completed_at, record.start_by, record.failures, record.losses,
        record.holds_key, record.lease_token, record.lease_expires_at, record.settled, record.prune_at,
        record.last_seq, record.trimmed_seq, kept, record.seq,
    )  # fmt: skip


def reported(record: JobRecord, kept: int) -> Row:
    """Return the values of ``report_job``."""
    return (
        record.updated_at, record.version, record.progress, record.message, record.lease_expires_at,
        record.last_seq, record.trimmed_seq, kept, record.seq,
    )  # fmt: skip


def logged(seq: int, update: UpdateRecord) -> Row:
    """Return the values of ``insert_update``."""
    return (
        seq, update.seq, update.kind, update.status, update.attempt, update.progress, update.at,
        update.message, update.error, update.results,
    )  # fmt: skip


def to_update(row: Row) -> UpdateRecord:
    """Return the update of an ``updates_after`` row."""
    return UpdateRecord(*row)


def to_type(row: Row) -> TypeRecord:
    """Return the job type of a ``job_type`` row."""
    job_type, operator, published, paused, reason, until = row
    return TypeRecord(job_type, operator, published, paused == 1, reason, until)


def from_type(ns: int, record: TypeRecord) -> Row:
    """Return the values of ``put_job_type``."""
    return (
        ns, record.job_type, record.operator, record.published, record.paused, record.pause_reason,
        record.pause_until,
    )  # fmt: skip


def to_worker(row: Row) -> WorkerRecord:
    """Return the worker of a ``workers`` row."""
    name, host, pid, slots, job_types, jobs, stopping, started_at, last_heartbeat_at, directive = row
    return WorkerRecord(
        name, host, pid, slots, tuple(json.loads(job_types)), tuple(json.loads(jobs)),
        tuple(json.loads(stopping)), started_at, last_heartbeat_at, directive,
    )  # fmt: skip


def from_worker(ns: int, worker: WorkerRecord) -> Row:
    """Return the values of ``put_worker``."""
    return (
        ns, worker.id, worker.host, worker.pid, worker.slots, json.dumps(worker.job_types),
        json.dumps(worker.jobs), json.dumps(worker.stopping), worker.started_at, worker.last_heartbeat_at,
        worker.directive,
    )  # fmt: skip
