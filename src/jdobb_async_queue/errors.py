"""Every error of the library, as one tree.

JobQueueError
├── BackendError
│   ├── BackendUnavailable      the store does not answer (also TimeoutError-like outages)
│   ├── StorageLost             the store was deleted or replaced under us
│   ├── ForkedProcess           a queue was used in a forked child of its process
│   └── SchemaTooNew            the file was written by a newer release
├── InvalidCursor               a list cursor that no list call gave out
├── JobConflict
│   ├── JobExists               the id is taken by a job with other content
│   ├── DuplicateJob            a live job holds the unique key
│   ├── IdempotencyKeyReused    the idempotency key came with another body
│   └── JobGone                 the idempotency key's job has been removed
├── JobNotFound                 no job has this id
├── LeaseLost                   the lease token is no longer current
├── PayloadTooLarge             an encoded value is over its limit
├── QueueClosed                 the queue was used after close()
├── QueueFull                   the job type already has max_pending jobs
└── HandlerSignal               raised by handlers to choose their outcome
    ├── FailNow                 fail without a retry
    ├── RetryLater              a failed attempt with its own delay
    └── Snooze                  back to pending, no failure counted

Invalid arguments are the builtin ``ValueError`` and ``TypeError``; time-outs the builtin ``TimeoutError``.
Driver errors never cross a backend: they arrive as ``BackendError`` with the cause kept.
"""

from __future__ import annotations

CENTURY = 100 * 365.25 * 86_400
"""Seconds: the longest duration."""
_SHOWN = 80


class JobQueueError(Exception):
    """Base of every error that the library raises on purpose."""


class BackendError(JobQueueError):
    """The backend could not do what was asked."""


class BackendUnavailable(BackendError):  # noqa: N818 - the name is part of the public contract
    """The backend does not answer; the call may be repeated."""


class StorageLost(BackendError):  # noqa: N818 - reads as the fact that it states
    """The database file was deleted or replaced while it was open; nothing more can be promised."""


class ForkedProcess(BackendError):  # noqa: N818 - reads as the fact that it states
    """A queue that was opened before the process forked was used in the child."""


class SchemaTooNew(BackendError):  # noqa: N818 - reads as the fact that it states
    """The store was written by a newer release of the library and is left untouched."""


class InvalidCursor(JobQueueError, ValueError):  # noqa: N818 - reads as the fact that it states
    """A list cursor that this list call, with these filters, did not give out."""


class JobConflict(JobQueueError):  # noqa: N818 - reads as the fact that it states
    """A new job contradicts one that is already stored.

    ``job_id`` names the stored job, where there is one.
    """

    def __init__(self, message: str, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobExists(JobConflict):
    """The id is taken by a job with another job type or other data."""


class DuplicateJob(JobConflict):
    """A live job holds the unique key and ``on_conflict="reject"`` was asked for.

    ``job_type`` and ``unique_key`` are those of the refused job, which tells it apart in a batch.
    """

    def __init__(
        self,
        message: str,
        job_id: str | None = None,
        *,
        job_type: str | None = None,
        unique_key: str | None = None,
    ) -> None:
        super().__init__(message, job_id)
        self.job_type, self.unique_key = job_type, unique_key


class IdempotencyKeyReused(JobConflict):
    """The idempotency key was used before with another body."""


class JobGone(JobConflict):
    """The idempotency key is bound to a job that has been removed."""


class JobNotFound(JobQueueError):  # noqa: N818 - the name is part of the public contract
    """No job has this id, or it has been removed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job has the id {job_id!r}")
        self.job_id = job_id


class LeaseLost(JobQueueError):  # noqa: N818 - the name is part of the public contract
    """The attempt's lease token is no longer current; its result would be refused."""


class PayloadTooLarge(JobQueueError, ValueError):  # noqa: N818 - the name is part of the public contract
    """An encoded value is larger than ``max_payload_bytes``.

    ``field`` is the argument's name, ``size`` and ``limit`` are bytes of JSON.
    """

    def __init__(self, field: str, size: int, limit: int) -> None:
        super().__init__(f"{field} is {size} bytes of JSON; at most {limit} are allowed")
        self.field, self.size, self.limit = field, size, limit


class QueueClosed(JobQueueError):  # noqa: N818 - the name is part of the public contract
    """The queue was used after ``close()``."""


class QueueFull(JobQueueError):  # noqa: N818 - the name is part of the public contract
    """The job type already has ``max_pending`` pending jobs; nothing was stored."""

    def __init__(self, job_type: str, limit: int) -> None:
        super().__init__(f"job type {job_type!r} already has {limit} pending jobs (max_pending)")
        self.job_type, self.limit = job_type, limit


class HandlerSignal(JobQueueError):  # noqa: N818 - a signal, not a fault
    """Base of what a handler raises to choose its outcome."""


class FailNow(HandlerSignal):
    """Fail the job now, whatever its retry policy says."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = _text(error)


class RetryLater(HandlerSignal):
    """Count a failed attempt and run again after ``delay`` seconds, if attempts are left."""

    def __init__(self, delay: float, error: str = "the handler asked for a later retry") -> None:
        super().__init__(error)
        self.delay, self.error = _seconds(delay), _text(error)


class Snooze(HandlerSignal):
    """Put the job back for ``delay`` seconds; no failure is counted."""

    def __init__(self, delay: float) -> None:
        super().__init__(f"snoozed for {delay} s")
        self.delay = _seconds(delay)


def shown(value: object) -> str:
    """Return a value as a refusal shows it: its repr, cut to 80 characters."""
    try:
        return cut(repr(value))
    except Exception:  # noqa: BLE001 - a repr that fails (an integer of too many digits) hides the refusal
        return object.__repr__(value)


def cut(text: str) -> str:
    """Return a text, cut to 80 characters with an ellipsis."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _text(error: object) -> str:
    if not isinstance(error, str):
        msg = f"error must be a string, got {type(error).__name__}"
        raise TypeError(msg)
    return error


def _seconds(delay: float) -> float:
    if isinstance(delay, bool) or not isinstance(delay, (int, float)):
        msg = f"delay must be a number of seconds, got {type(delay).__name__}"
        raise TypeError(msg)
    if not 0 <= delay <= CENTURY:
        msg = f"delay must be from 0 to {CENTURY:.0f} seconds (a century), got {shown(delay)}"
        raise ValueError(msg)
    return float(delay)
