"""What a worker tells of itself: typed facts, formatted elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A worker began to claim."""

    worker_id: str
    job_types: tuple[str, ...]
    slots: int


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """A worker ended; ``released`` of its jobs were given back."""

    worker_id: str
    released: int


@dataclass(frozen=True, slots=True)
class HandlerMissing:
    """A job type was named for claiming, but nothing handles it."""

    job_type: str


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A handler was started; told in its task, so that what a listener binds to the context is its own.

    ``waited`` is how many seconds the job was ready before it was claimed; the last two are those that it was
    enqueued with.
    """

    job_id: str
    job_type: str
    attempt: int
    waited: float = 0.0
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class JobSettled:
    """An attempt ended: ``outcome`` is complete, failed, retrying, released or refused; seconds it took."""

    job_id: str
    job_type: str
    attempt: int
    outcome: str
    seconds: float
    error: str | None = None
    traceback: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobStopped:
    """A running handler was cancelled because of ``reason``: cancelled, lost, shutdown or timeout."""

    job_id: str
    job_type: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class HandlerIgnoresCancellation:
    """A handler still runs although it was cancelled; its job has been given back."""

    job_id: str
    job_type: str


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """The event loop stood still; ``job_type`` names the handler that held it, where it was one."""

    seconds: float
    job_type: str | None
    job_id: str | None
    where: str


@dataclass(frozen=True, slots=True)
class BackendLost:
    """A loop could not reach the backend and tries again; ``failures`` in a row so far."""

    loop: str
    error: str
    failures: int


@dataclass(frozen=True, slots=True)
class BackendBack:
    """A loop reached the backend again."""

    loop: str
    failures: int


@dataclass(frozen=True, slots=True)
class LoopFailed:
    """A loop of the worker raised what it should not; it goes on after a pause."""

    loop: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class JobsSwept:
    """A sweep moved due jobs."""

    rescued: int
    expired: int


Fact = (
    WorkerStarted
    | WorkerStopped
    | HandlerMissing
    | JobStarted
    | JobSettled
    | JobStopped
    | HandlerIgnoresCancellation
    | LoopBlocked
    | BackendLost
    | BackendBack
    | LoopFailed
    | JobsSwept
)
Listener = Callable[[Fact], None]
