"""The values that users see: jobs, updates, and the answers of a queue."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from jdobb_async_queue.encoding import check_text
from jdobb_async_queue.errors import CENTURY
from jdobb_async_queue.retry import RetryPolicy

OnConflict = Literal["return", "reject", "replace"]
UniqueUntil = Literal["finished", "started"]
UpdateKind = Literal["status", "progress", "log", "custom"]
Directive = Literal["run", "quiet", "stop"]

StoredText = Annotated[str, AfterValidator(lambda value: check_text(value, "the text"))]
"""Text that every backend can store: without lone surrogates."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class JobStatus(str, Enum):
    """Where a job stands; ``complete``, ``failed`` and ``cancelled`` are terminal."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing but an explicit retry changes the job any more."""
        return self.value in TERMINAL


class JobPriority(str, Enum):
    """Which of the ready jobs is claimed first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def weight(self) -> int:
        """Return the number that claims sort by: HIGH 10, NORMAL 5, LOW 1."""
        return WEIGHTS[self.value]


TERMINAL = frozenset({"complete", "failed", "cancelled"})
WEIGHTS = {"low": 1, "normal": 5, "high": 10}
STATUSES = {status.value: status for status in JobStatus}
PRIORITIES = {weight: JobPriority(name) for name, weight in WEIGHTS.items()}
HIGHEST_FIRST = tuple(sorted(PRIORITIES, reverse=True))
"""The weights of the priorities in the order in which jobs are claimed."""


class Outcome(str, Enum):
    """What became of a guarded call on a job."""

    OK = "ok"
    """The change was made."""
    REPEATED = "repeated"
    """The same call, with the same lease token, had already been made: nothing more to do."""
    UNKNOWN = "unknown"
    """No job has this id."""
    TERMINAL = "terminal"
    """The job's status does not allow the call (for ``retry`` and ``delete``: it is not terminal)."""
    STALE = "stale"
    """The lease token is not, or no longer, current."""
    CONFLICT = "conflict"
    """``retry`` only: another live job holds the unique key."""


class AttemptError(BaseModel):
    """Why one attempt failed."""

    model_config = ConfigDict(frozen=True)

    attempt: int
    type: str
    message: str
    traceback: str | None = None
    at: datetime


class Job(BaseModel):
    """A job as it is stored. Instants are aware and UTC, durations are seconds.

    ``max_attempts``, ``max_lost`` and ``timeout`` are the values in force: the job's own, else its job
    type's, else the defaults. ``lease_token`` and ``lease_expires_at`` are set only on the object that a
    claim returns.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    job_type: str
    data: dict[str, Any]
    status: JobStatus
    priority: JobPriority
    progress: float = 0.0
    message: str | None = None
    results: dict[str, Any] | None = None
    error: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None
    ttl: int | float | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    max_attempts: int = 1
    max_lost: int = 3
    run_at: datetime
    started_at: datetime | None = None
    timeout: float | None = None
    unique_key: str | None = None
    errors: list[AttemptError] = Field(default_factory=list)
    version: int = 1
    worker_id: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    lease_token: str | None = Field(default=None, repr=False)
    lease_expires_at: datetime | None = None


class JobUpdate(BaseModel):
    """One change of a job, as watchers see it.

    ``seq`` strictly grows from one update of a job to the next and stays below 2**53. ``gap`` marks the
    current state, sent because older updates have been trimmed.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    status: JobStatus
    progress: float
    message: str | None = None
    results: dict[str, Any] | None = None
    error: str | None = None
    timestamp: datetime
    seq: int
    attempt: int = 0
    kind: UpdateKind = "status"
    gap: bool = False

    @property
    def data(self) -> dict[str, Any] | None:
        """Return what ``Broadcaster.send`` carried (the same as ``results``)."""
        return self.results

    @property
    def is_terminal(self) -> bool:
        """Tell whether this is the last update of the job (until somebody retries it)."""
        return self.kind == "status" and self.status.is_terminal


class NewJob(BaseModel):
    """A job to be enqueued; the same names and rules as ``JobQueue.enqueue``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job_type: str
    data: dict[str, Any] = Field(default_factory=dict)
    priority: JobPriority = Field(default=JobPriority.NORMAL, strict=False)
    ttl: float | None = None
    metadata: dict[str, Any] | None = None
    job_id: str | None = None
    delay: float | None = None
    run_at: datetime | None = None
    timeout: float | None = None
    max_attempts: int | None = None
    retry: RetryPolicy | None = Field(default=None, strict=False)
    max_lost: int | None = None
    unique_key: str | None = None
    unique_until: UniqueUntil = "finished"
    on_conflict: OnConflict = "return"
    request_id: str | None = None
    traceparent: str | None = None


class Idempotency(BaseModel):
    """Binds a submission to a key, so that repeating it gives the same job.

    ``scope`` keeps callers apart (caller and route); ``fingerprint`` is a digest of the body as sent;
    ``keep`` is how many seconds the binding lasts, at most a century.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    scope: StoredText
    key: StoredText
    fingerprint: StoredText
    keep: float = Field(default=86_400.0, ge=0, le=CENTURY)


class Submission(BaseModel):
    """What ``submit`` did: ``created`` a job, met an existing one, or ``replayed`` a key."""

    model_config = ConfigDict(frozen=True)

    job: Job
    created: bool
    replayed: bool = False


class JobPage(BaseModel):
    """One page of a list; ``next_cursor`` is None at the end."""

    model_config = ConfigDict(frozen=True)

    items: list[Job]
    next_cursor: str | None = None


class LeaseState(BaseModel):
    """What a heartbeat learnt of one lease; ``expires_in`` is seconds, 0.0 when it is not held any more."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    status: Literal["ok", "lost", "cancelled"]
    expires_in: float = 0.0


class JobTypeStats(BaseModel):
    """How a job type stands now; ``oldest_ready_age`` is seconds, None when nothing is ready."""

    model_config = ConfigDict(frozen=True)

    ready: int = 0
    running: int = 0
    delayed: int = 0
    oldest_ready_age: float | None = None


class JobTypeInfo(BaseModel):
    """The settings of a job type: as they are in force, and whether its claims are paused."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    job_type: str
    retry: RetryPolicy = RetryPolicy()
    timeout: float | None = None
    max_lost: int = 3
    max_pending: int | None = None
    payload_schema: dict[str, Any] | None = Field(default=None, serialization_alias="schema", alias="schema")
    paused: bool = False
    pause_reason: str | None = None
    pause_until: datetime | None = None


class LoopState(BaseModel):
    """How one loop of a worker does.

    ``failures`` are the turns that failed in a row until now; ``turning_for`` is how many seconds its present
    turn takes already, 0.0 while it waits for the next.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    failures: int = 0
    turning_for: float = 0.0


class WorkerInfo(BaseModel):
    """A worker as the backend knows it; ``stale`` when no heartbeat came for a minute."""

    model_config = ConfigDict(frozen=True)

    id: str
    host: str
    pid: int
    slots: int
    job_types: list[str]
    jobs: list[str] = Field(default_factory=list)
    stopping: list[str] = Field(default_factory=list)
    directive: Directive = "run"
    started_at: datetime
    last_heartbeat_at: datetime
    stale: bool = False


class Maintained(BaseModel):
    """What one step of maintenance did, in numbers of jobs."""

    model_config = ConfigDict(frozen=True)

    rescued: int
    expired: int
    pruned: int


class HistoryPoint(BaseModel):
    """One minute of one job type: how many jobs ended how, and how long they waited and ran (seconds)."""

    model_config = ConfigDict(frozen=True)

    minute: datetime
    job_type: str
    enqueued: int = 0
    started: int = 0
    complete: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    wait_p50: float | None = None
    wait_p95: float | None = None
    run_p50: float | None = None
    run_p95: float | None = None


class ErrorGroup(BaseModel):
    """Failed attempts of one job type with one error type over the last day."""

    model_config = ConfigDict(frozen=True)

    job_type: str
    type: str
    count: int
    last_message: str
    last_job_id: str
    last_at: datetime


@lru_cache(maxsize=1024)
def instant(millis: int) -> datetime:
    """Return milliseconds since the Unix epoch as an aware UTC datetime."""
    return _EPOCH + timedelta(milliseconds=millis)
