"""The events of a run.

``at`` is when the observer knew: for a call, when its answer came. ``asked_at`` is when the call was made;
what it did to the store took effect somewhere between the two. Both are seconds of one clock that all
observers share (``record.now``). Instants of the store's own clock are integer milliseconds and end in
``_ms``; the two clocks are never compared.

A worker has one name in all events (its id, or its pid), and so has a watcher. ``accepted`` is True when the
store said so, False when it refused, None when no answer came: then it may have happened or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

STORE = "store"
"""The target of a fault that keeps everybody from the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that somebody observed."""

    at: float
    asked_at: float | None = None

    @property
    def since(self) -> float:
        """Return the earliest instant at which it can have taken effect."""
        return self.at if self.asked_at is None else self.asked_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Event):
    """What the run is made of; written once.

    ``records`` names the kinds of optional events of which each one was written down: ``ended`` (of handlers
    in workers that no fault struck), ``renewed``.
    """

    lease: float
    """Seconds; of claims that do not say otherwise."""
    records: tuple[str, ...] = ()
    seed: int | None = None
    about: dict[str, Any] | None = None
    """What else names the run: backend, commit, versions."""


# -- putting in ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Event):
    """A producer is about to enqueue: written before the call, once for each time that it is sent.

    ``op`` names the intent and is the same when it is sent again. Put it into the job's data, so that
    handlers and the final reading can tell it where the producer never learnt the job's id. ``key`` is the
    idempotency key, ``job`` the own id, ``not_before_ms`` the ``run_at`` that was asked for.
    """

    op: str
    job: str | None = None
    job_type: str | None = None
    key: str | None = None
    unique_key: str | None = None
    not_before_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged(Event):
    """The producer has an answer: ``job`` is stored. ``created`` False when it met an existing one."""

    op: str
    job: str
    created: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Event):
    """The producer was refused for certain (a conflict, a full queue): nothing was stored."""

    op: str
    error: str


# -- running -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed(Event):
    """A claim handed a job out. ``claimed_ms`` and ``run_ms`` are the job's ``started_at`` and ``run_at``."""

    job: str
    attempt: int
    token: str
    worker: str
    claimed_ms: int | None = None
    run_ms: int | None = None
    lease: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed(Event):
    """A heartbeat or a report was accepted under this token."""

    job: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """A handler began: the first thing that it does.

    Where claims are seen only by their handlers, this stands for the claim too, with the job's
    ``started_at`` and ``run_at``.
    """

    job: str
    attempt: int
    token: str
    worker: str
    op: str | None = None
    claimed_ms: int | None = None
    run_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Event):
    """A handler ended, by itself or because it was cancelled; the last thing that it does."""

    job: str
    token: str
    worker: str
    how: str = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Event):
    """An attempt was settled, or a job by hand (``token`` None): what was asked, and what was answered.

    ``repeated``: the store recognised a call that it had accepted before. ``final``: a failure that asked not
    to be retried. ``results`` are those of a completion.
    """

    job: str
    outcome: Literal["complete", "failed", "retrying", "released"]
    accepted: bool | None
    token: str | None = None
    attempt: int | None = None
    worker: str | None = None
    results: Any = None
    final: bool = False
    repeated: bool = False


# -- operating -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """Somebody cancelled a job; ``attempt`` is that of the job in the answer, where there was one."""

    job: str
    accepted: bool | None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    """An operator asked for a job to be run again."""

    job: str
    accepted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(Event):
    """A terminal job was removed, or the run lets retention remove it."""

    job: str


# -- looking -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Event):
    """Somebody read a job."""

    job: str
    status: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Event):
    """A watcher got an update of a job."""

    job: str
    watcher: str
    seq: int
    status: str
    kind: str = "status"
    attempt: int | None = None
    progress: float | None = None
    gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded(Event):
    """A watcher's stream of a job ended by itself: nothing more was to come."""

    job: str
    watcher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Event):
    """A job as it is after the run; ``status`` None when the store does not know it.

    ``updates`` are its kept updates as ``(seq, kind, status)``, oldest first; ``op`` is what its data say;
    ``unique_key`` is left out of one that holds it only until its first start.
    """

    job: str
    status: str | None
    op: str | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    max_attempts: int | None = None
    max_lost: int | None = None
    error: str | None = None
    results: Any = None
    job_type: str | None = None
    unique_key: str | None = None
    created_ms: int | None = None
    completed_ms: int | None = None
    updates: tuple[tuple[int, str, str], ...] = ()


# -- what was done to it -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Event):
    """A fault was injected at ``at``; it lasted until ``until`` (None: for good, or it took no time).

    ``fault`` is one of

    * ``kill``: the worker ended without cleaning up;
    * ``pause``: the worker stood still (SIGSTOP, a blocked loop);
    * ``cut``: the worker could not reach the store, or got no answers, or late ones; with ``STORE`` as target
      the store was down, unreachable or slow for everybody;
    * ``rollback``: the store forgot acknowledged writes (a power cut, a failover), ``target`` is ``STORE``.
      What was written from ``asked_at`` (None: from the beginning) to ``at`` may be gone;
    * ``reset``: the store lost everything; whatever has the same id afterwards is another job;
    * ``power``: as ``rollback``, but only of writes that are not promised to last: claims, renewals, reports;
    * ``clock``: the store's clock jumped;
    * any other word: noted, and no reason for anything.
    """

    fault: str
    target: str
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsEnded(Event):
    """From here on nothing was broken any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained(Event):
    """No job was pending or processing any more."""


KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        Run, Asked, Acknowledged, Refused, Claimed, Renewed, Started, Ended, Settled, Cancelled, Retried,
        Deleted, Read, Seen, WatchEnded, Snapshot, Fault, FaultsEnded, Drained,
    )
}  # fmt: skip
