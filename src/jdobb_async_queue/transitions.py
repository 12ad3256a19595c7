"""The moves of a job as values: from which statuses, under which guard, to what.

A backend does three things with a transition, in one atomic step: it asks ``check`` whether the stored
record allows it, takes ``advance``'s next record, and stores that with the update that announces it.
Nothing here decides a policy (that is ``lifecycle``) and nothing here does I/O.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jdobb_async_queue.models import Outcome
from jdobb_async_queue.records import JobRecord, UpdateRecord

if TYPE_CHECKING:
    from jdobb_async_queue.records import Retention

MAX_ERRORS = 20
LIVE = frozenset({"pending", "processing"})
PROCESSING = frozenset({"processing"})
PENDING = frozenset({"pending"})
RETRYABLE = frozenset({"failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """What went wrong in an attempt, before it is written down."""

    message: str
    type: str = "Error"
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One guarded change of one job. Build it with the named constructors only.

    ``lease_token`` must be the current one when it is given; ``version`` likewise. ``status`` None keeps
    the status. ``delay`` (ms from the backend's present) moves ``run_at``; None keeps it.
    """

    verb: str
    job_id: str
    allowed: frozenset[str]
    status: str | None = None
    lease_token: str | None = None
    version: int | None = None
    delay: int | None = None
    progress: float | None = None
    message: str | None = None
    results: bytes | None = None
    error: str | None = None
    failure: AttemptFailure | None = None
    retention: Retention | None = None

    @classmethod
    def report(
        cls, job_id: str, progress: float | None, message: str | None, *, lease_token: str | None = None
    ) -> Transition:
        """Report progress of a live job; with a token it also renews the lease."""
        return cls("update", job_id, LIVE, lease_token=lease_token, progress=progress, message=message)

    @classmethod
    def log(cls, job_id: str, text: str, *, lease_token: str) -> Transition:
        """Append a line to the job's update log; its record stays as it is."""
        return cls("log", job_id, PROCESSING, lease_token=lease_token, message=text)

    @classmethod
    def send(cls, job_id: str, progress: float | None, message: str | None, data: bytes | None) -> Transition:
        """Publish a custom update of a live job; its record stays as it is."""
        return cls("send", job_id, LIVE, progress=progress, message=message, results=data)

    @classmethod
    def complete(
        cls, job_id: str, results: bytes | None, retention: Retention, *, lease_token: str | None = None
    ) -> Transition:
        """Finish a live job with its results."""
        return cls("complete", job_id, LIVE, "complete", lease_token, results=results, retention=retention)

    @classmethod
    def retry_later(
        cls, job_id: str, failure: AttemptFailure, delay: int, *,
        lease_token: str | None = None, version: int | None = None,
    ) -> Transition:  # fmt: skip
        """Count a failed attempt and wait ``delay`` ms for the next."""
        return cls("fail", job_id, LIVE, "pending", lease_token, version, delay, failure=failure)

    @classmethod
    def fail(
        cls, job_id: str, failure: AttemptFailure, retention: Retention, *,
        lease_token: str | None = None, version: int | None = None,
    ) -> Transition:  # fmt: skip
        """Count a failed attempt and end the job."""
        return cls(
            "fail", job_id, LIVE, "failed", lease_token, version,
            error=failure.message, failure=failure, retention=retention,
        )  # fmt: skip

    @classmethod
    def release(cls, job_id: str, *, lease_token: str, delay: int | None = None) -> Transition:
        """Give a claimed job back: at its old place, or ``delay`` ms from now (a snooze)."""
        return cls("release", job_id, PROCESSING, "pending", lease_token, delay=delay)

    @classmethod
    def cancel(cls, job_id: str, reason: str | None, retention: Retention) -> Transition:
        """End a live job at once; whoever runs it has lost its lease."""
        return cls("cancel", job_id, LIVE, "cancelled", error=reason, retention=retention)

    @classmethod
    def rescue(cls, record: JobRecord) -> Transition:
        """Put a job whose lease ran out back at its old place."""
        return cls("rescue", record.id, PROCESSING, "pending", record.lease_token)

    @classmethod
    def give_up(cls, record: JobRecord, error: str, retention: Retention) -> Transition:
        """End a job that has lost too many leases."""
        return cls(
            "rescue", record.id, PROCESSING, "failed", record.lease_token, error=error, retention=retention
        )

    @classmethod
    def expire(cls, record: JobRecord, error: str, retention: Retention) -> Transition:
        """End a job that did not start in time."""
        return cls("expire", record.id, PENDING, "failed", error=error, retention=retention)

    @classmethod
    def retry(cls, job_id: str) -> Transition:
        """Make a failed or cancelled job ready again, as if it had never run."""
        return cls("retry", job_id, RETRYABLE, "pending", delay=0)


_SETTLING = frozenset({"complete", "fail", "release"})


def check(record: JobRecord | None, change: Transition) -> Outcome:
    """Tell whether the stored record allows the transition, and if not, why."""
    if record is None:
        return Outcome.UNKNOWN
    token = change.lease_token
    if token is not None and token != record.lease_token:
        if change.verb in _SETTLING and record.settled == f"{change.verb} {token}":
            return Outcome.REPEATED
        return Outcome.STALE
    if record.status not in change.allowed:
        return Outcome.TERMINAL
    if change.version is not None and change.version != record.version:
        return Outcome.STALE
    return Outcome.OK


def is_cancelled(status: str, settled: str | None, token: str) -> bool:
    """Tell whether the job is cancelled and this lease was the one that it took away."""
    return status == "cancelled" and settled == f"cancel {token}"


def advance(old: JobRecord, change: Transition, now: int) -> tuple[JobRecord, UpdateRecord | None]:
    """Return the record after the transition and the update that announces it.

    The update is None when nothing changed that ``get`` shows (a lower progress is ignored); the record
    may still carry a renewed lease.
    """
    if change.status is None:
        return _report(old, change, now)
    new = old.copy()
    new.status = change.status
    new.version += 1
    new.updated_at = now
    if change.verb in _SETTLING and change.lease_token is not None:
        new.settled = f"{change.verb} {change.lease_token}"
    elif change.verb == "cancel" and old.lease_token is not None:
        new.settled = f"cancel {old.lease_token}"
    new.lease_token = new.lease_expires_at = None
    if change.verb == "rescue":
        new.losses += 1
        _note(new, AttemptFailure("the lease ran out: its worker died or stalled", "LeaseLost"), now)
    elif change.failure is not None:
        new.failures += 1
        _note(new, change.failure, now)
    if change.status == "pending":
        _wait(new, change, now)
    else:
        _end(new, change, now)
    message = change.failure.message if change.failure is not None else change.error
    return new, announce(new, now, error=message)


def start(
    old: JobRecord, token: str, lease: int, worker_id: str | None, now: int
) -> tuple[JobRecord, UpdateRecord]:
    """Return the record of a job claimed at ``now`` for ``lease`` ms, and its update."""
    new = old.copy()
    new.status = "processing"
    new.version += 1
    new.attempt += 1
    new.updated_at = new.started_at = now
    new.start_by = None
    new.progress, new.message, new.error = 0.0, None, None
    new.worker_id = worker_id
    new.lease_token, new.lease, new.lease_expires_at = token, lease, now + lease
    if new.unique_until == "started":
        new.holds_key = False
    return new, announce(new, now)


def announce(
    record: JobRecord, now: int, kind: str = "status", *,
    progress: float | None = None, message: str | None = None,
    error: str | None = None, results: bytes | None = None,
) -> UpdateRecord:  # fmt: skip
    """Return the next update of ``record`` and move the record's ``last_seq`` to it.

    ``seq`` is the clock in microseconds, or one more than the last: so it grows also when the last
    updates were lost with the machine, and stays below 2**53 until the year 2255.
    """
    record.last_seq = max(now * 1000, record.last_seq + 1)
    return UpdateRecord(
        record.last_seq,
        kind,
        record.status,
        record.attempt,
        record.progress if progress is None else progress,
        now,
        record.message if message is None else message,
        record.error if error is None else error,
        results,
    )


def _report(old: JobRecord, change: Transition, now: int) -> tuple[JobRecord, UpdateRecord | None]:
    new = old.copy()
    if change.verb != "update":
        kind = "log" if change.verb == "log" else "custom"
        return new, announce(
            new, now, kind, progress=change.progress, message=change.message, results=change.results
        )
    if change.lease_token is not None:
        new.lease_expires_at = now + new.lease
    if change.progress is not None and change.progress > new.progress:
        new.progress = change.progress
    if change.message is not None:
        new.message = change.message
    if (new.progress, new.message) == (old.progress, old.message):
        return new, None
    new.version += 1
    new.updated_at = now
    return new, announce(new, now, "progress")


def _wait(new: JobRecord, change: Transition, now: int) -> None:
    if change.delay is not None:
        new.run_at = now + change.delay
    if change.verb == "retry":
        new.failures = new.losses = 0
        new.progress, new.message, new.results, new.error = 0.0, None, None, None
        new.completed_at = new.prune_at = None
        new.start_by = None if new.ttl is None else now + new.ttl
        new.holds_key = new.unique_key is not None


def _end(new: JobRecord, change: Transition, now: int) -> None:
    new.completed_at = now
    new.holds_key = False
    new.start_by = None
    new.error = change.error
    if change.retention is not None:
        new.prune_at = change.retention.prune_at(new.status, now)
    if new.status == "complete":
        new.progress = 1.0
        new.results = change.results


def _note(new: JobRecord, failure: AttemptFailure, now: int) -> None:
    errors = json.loads(new.errors) if new.errors else []
    errors.append(
        {
            "attempt": new.attempt,
            "type": failure.type,
            "message": failure.message,
            "traceback": failure.traceback,
            "at": now / 1000,
        }
    )
    new.errors = json.dumps(errors[-MAX_ERRORS:]).encode()
