"""What backends keep: plain slotted values with JSON as bytes and instants as integer milliseconds.

A record is never changed in place: a transition makes the next one. So a record that was handed out
stays what it was, and nobody can reach into a store through it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

from jdobb_async_queue.retry import RetryPolicy

DEFAULT_MAX_LOST = 3


@dataclass(slots=True)
class JobRecord:
    """One job. ``seq`` is the enqueue order, ``priority`` the weight that claims sort by."""

    id: str
    job_type: str
    status: str
    priority: int
    data: bytes
    metadata: bytes
    created_at: int
    updated_at: int
    run_at: int
    seq: int = 0
    version: int = 1
    results: bytes | None = None
    error: str | None = None
    errors: bytes | None = None
    """A JSON array of the last attempts' errors, newest last."""
    progress: float = 0.0
    message: str | None = None
    started_at: int | None = None
    completed_at: int | None = None
    ttl: int | None = None
    """Milliseconds within which the first attempt must start."""
    start_by: int | None = None
    """The instant at which ``ttl`` runs out; None once an attempt has started."""
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    settings: bytes | None = None
    """The job's own retry policy, timeout and max_lost, as JSON; what it leaves out is its job type's."""
    unique_key: str | None = None
    unique_until: str = "finished"
    holds_key: bool = False
    worker_id: str | None = None
    lease_token: str | None = None
    lease_expires_at: int | None = None
    lease: int = 0
    """The lease's length in milliseconds: what a renewal adds to the present."""
    settled: str | None = None
    """The last settling call (or cancel) and the token it ended, so that a repetition is recognised."""
    prune_at: int | None = None
    last_seq: int = 0
    """The seq of the latest update, 0 before the first."""
    trimmed_seq: int = 0
    """The highest seq that has been trimmed from the update log."""
    request_id: str | None = None
    traceparent: str | None = None
    operator_settings: bytes | None = None
    """The job type's settings as an operator put them; filled in by the backend on every reading."""
    published_settings: bytes | None = None
    """The job type's settings as the last worker published them; filled in likewise."""

    def copy(self) -> JobRecord:
        """Return an equal record that may be changed."""
        return JobRecord(*_values(self))

    @property
    def is_terminal(self) -> bool:
        """Tell whether the status is complete, failed or cancelled."""
        return self.completed_at is not None

    def effective(self) -> Settings:
        """Return the settings in force for this job."""
        return resolve_settings(self.settings, self.operator_settings, self.published_settings)


_values = attrgetter(*(item.name for item in fields(JobRecord)))


@dataclass(slots=True)
class UpdateRecord:
    """One entry of a job's update log."""

    seq: int
    kind: str
    status: str
    attempt: int
    progress: float
    at: int
    message: str | None = None
    error: str | None = None
    results: bytes | None = None
    """Custom data; the results of a complete job are read from its record."""

    @property
    def size(self) -> int:
        """Return about how many bytes its texts and its data have."""
        return sum(len(part) for part in (self.message, self.error, self.results) if part)


@dataclass(slots=True)
class NewRecord:
    """A validated job on its way into a backend; the backend adds its own clock's instants.

    Either ``delay`` (ms from the backend's present) or ``run_at`` (ms since the epoch) may be set.
    """

    id: str
    job_type: str
    priority: int
    data: bytes
    metadata: bytes
    own_id: bool = False
    """The caller chose the id: meeting it again is not an error if the content is the same."""
    delay: int = 0
    run_at: int | None = None
    ttl: int | None = None
    settings: bytes | None = None
    unique_key: str | None = None
    unique_until: str = "finished"
    on_conflict: str = "return"
    max_pending: int | None = None
    """The limit of the job type where its own settings have none."""
    request_id: str | None = None
    traceparent: str | None = None

    def to_record(self, now: int, seq: int) -> JobRecord:
        """Return the pending job that this becomes at ``now``."""
        run_at = self.run_at if self.run_at is not None and self.run_at > now else now + self.delay
        return JobRecord(
            self.id, self.job_type, "pending", self.priority, self.data, self.metadata, now, now, run_at, seq,
            ttl=self.ttl, start_by=None if self.ttl is None else run_at + self.ttl, settings=self.settings,
            unique_key=self.unique_key, unique_until=self.unique_until, holds_key=self.unique_key is not None,
            request_id=self.request_id, traceparent=self.traceparent,
        )  # fmt: skip

    def replaced(self, record: JobRecord, now: int) -> JobRecord:
        """Return the waiting ``record`` with this content: it keeps its id, creation time and order."""
        fresh = self.to_record(now, record.seq)
        fresh.id, fresh.created_at, fresh.version = record.id, record.created_at, record.version + 1
        fresh.last_seq, fresh.trimmed_seq = record.last_seq, record.trimmed_seq
        fresh.attempt, fresh.failures, fresh.losses = record.attempt, record.failures, record.losses
        fresh.errors, fresh.settled = record.errors, record.settled
        fresh.started_at, fresh.worker_id = record.started_at, record.worker_id
        fresh.operator_settings = record.operator_settings
        fresh.published_settings = record.published_settings
        return fresh


@dataclass(frozen=True, slots=True)
class Retention:
    """Milliseconds that terminal jobs are kept, per status; None keeps for ever."""

    complete: int | None
    failed: int | None
    cancelled: int | None

    def prune_at(self, status: str, now: int) -> int | None:
        """Return when a job that reached ``status`` now may be removed."""
        keep: int | None = getattr(self, status)
        return None if keep is None else now + keep


@dataclass(frozen=True, slots=True)
class Settings:
    """How attempts of a job are limited. ``timeout`` is seconds, None when there is no limit."""

    retry: RetryPolicy
    timeout: float | None = None
    max_lost: int = DEFAULT_MAX_LOST
    max_pending: int | None = None
    schema: dict[str, Any] | None = field(default=None, hash=False)


DEFAULT_SETTINGS = Settings(RetryPolicy())


@lru_cache(maxsize=4096)
def resolve_settings(own: bytes | None, operator: bytes | None, published: bytes | None) -> Settings:
    """Return the settings in force, field by field: the job's, the operator's, the worker's, the defaults.

    The schema alone is the worker's first: it is the model that its handler checks payloads by. What a later
    release wrote and this one does not know is left out of account.
    """
    layers = [_layer(layer) for layer in (published, operator) if layer]
    if own:
        layers.append(json.loads(own))
    if not layers:
        return DEFAULT_SETTINGS
    merged: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    for layer in layers:
        policy.update(layer.get("retry") or {})
        schema = merged.get("schema")
        merged.update(layer)
        if schema is not None:
            merged["schema"] = schema
    return Settings(
        RetryPolicy(**{name: value for name, value in policy.items() if name in RetryPolicy.model_fields}),
        merged.get("timeout"),
        merged.get("max_lost", DEFAULT_MAX_LOST),
        merged.get("max_pending"),
        merged.get("schema"),
    )


@lru_cache(maxsize=1024)
def _layer(settings: bytes) -> dict[str, Any]:
    """Return a job type's settings, parsed once: all its jobs share them, the schema above all."""
    layer: dict[str, Any] = json.loads(settings)
    return layer


@dataclass(slots=True)
class TypeRecord:
    """A job type's settings and pause, as stored."""

    job_type: str
    operator: bytes | None = None
    published: bytes | None = None
    paused: bool = False
    pause_reason: str | None = None
    pause_until: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker's entry in the registry."""

    id: str
    host: str
    pid: int
    slots: int
    job_types: tuple[str, ...]
    jobs: tuple[str, ...]
    stopping: tuple[str, ...]
    started_at: int
    last_heartbeat_at: int
    directive: str = "run"


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """What a worker says of itself; of what is None the entry keeps what it has."""

    id: str
    host: str | None = None
    pid: int | None = None
    slots: int | None = None
    job_types: tuple[str, ...] | None = None
    jobs: tuple[str, ...] | None = None
    stopping: tuple[str, ...] | None = None
    started_at: int | None = None

    def onto(self, known: WorkerRecord | None, now: int) -> WorkerRecord:
        """Return the entry after this beat; None is no entry yet."""
        entry = known or WorkerRecord(self.id, "", 0, 1, (), (), (), now, now)
        said = {part.name: getattr(self, part.name) for part in fields(self)}
        news = {name: value for name, value in said.items() if value is not None}
        return replace(entry, **news, last_heartbeat_at=now)
