"""The backend contract: what a store of jobs must do, whatever it is made of.

A backend stores and guards; it decides nothing. Whether a failure is retried, how long a lease is and what
an argument may be has been decided before it is called; what a transition does to a record stands in
``transitions`` and is the same for all. The contract test-suite states the rest.

Rules for every write

* It is one atomic step: the record, its place in every index, the counters, the unique key and the update
  that announces the change are seen together or not at all, by every process, also after a crash.
* It is acknowledged (returns) only when it is as durable as the backend promises.
* It is fenced: a transition that carries a lease token changes nothing unless the token is current.
* Instants are the backend's own clock (``now``), in integer milliseconds since the Unix epoch.
* Cancelling the awaiting task neither undoes nor corrupts a write, and harms no other caller; a cancelled
  claim gives its jobs back.

Errors that leave a backend are ``JobQueueError`` (``BackendUnavailable`` when it cannot be reached); no
driver exception does.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Literal

from jdobb_async_queue.clock import Ids, SystemClock, system_random
from jdobb_async_queue.lifecycle import millis
from jdobb_async_queue.records import Retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from jdobb_async_queue.backends.bells import Bell
    from jdobb_async_queue.models import ErrorGroup, HistoryPoint, Idempotency, JobTypeStats, Outcome
    from jdobb_async_queue.records import (
        JobRecord,
        NewRecord,
        TypeRecord,
        UpdateRecord,
        WorkerBeat,
        WorkerRecord,
    )
    from jdobb_async_queue.transitions import Transition

DEFAULT_NAMESPACE = "default"
WEEK = Retention(604_800_000, 604_800_000, 604_800_000)
UPDATES_KEPT = 256
"""How many updates of a job are kept by default."""
PAGE_BYTES = 65_536
"""About how much of a job's updates is read at once; a slow watcher keeps that much in memory."""


Durability = Literal["none", "normal", "full"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What ``store`` did with one new job: ``created``, or met an existing one (``replayed`` by a key)."""

    record: JobRecord
    created: bool
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Which jobs to claim, and what the claims are made of.

    ``job_types`` None means every type. The n-th job claimed gets the token ``f"{token}.{n}"`` (n from 0).
    ``lease`` is milliseconds. ``retention`` is for jobs that the claim finds expired.
    """

    job_types: tuple[str, ...] | None
    limit: int
    token: str
    lease: int
    worker_id: str | None
    retention: Retention


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim got, best first, and when time alone next changes what such a claim would find.

    ``next_due`` is the earliest future ``run_at`` of a pending job, the earliest end of any lease or of any
    job's ttl, or the earliest end of a pause; a paused type's ``run_at`` does not count. It lies ahead of the
    claim, so that whoever waits for it does not spin. None when there is no such instant, and when the claim
    was full.
    """

    records: list[JobRecord]
    next_due: int | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to one transition; ``record`` is the job afterwards, None when it is unknown.

    It is None also of an accepted change whose caller asked for no records.
    """

    outcome: Outcome
    record: JobRecord | None


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """A lease that somebody believes to hold; ``extend`` renews it for its own length."""

    job_id: str
    token: str
    extend: bool = True


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """How a lease stands: ``ok``, ``lost`` or ``cancelled``, and for how many ms it still runs."""

    status: str
    expires_in: int = 0


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which jobs to list, newest created first.

    ``statuses`` and ``job_types`` None mean all, empty ones none. With exactly one status the order is that
    of the status: pending in claim order, processing latest start first, terminal latest finish first.
    ``after`` is the sort key of the last job of the page before, as ``RecordPage.last`` gave it.
    ``metadata`` keeps jobs whose metadata has these string values; at most ``examine`` jobs are looked at.
    """

    statuses: tuple[str, ...] | None = None
    job_types: tuple[str, ...] | None = None
    created_after: int | None = None
    created_before: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    limit: int = 50
    after: tuple[int, ...] | None = None
    examine: int = 1000

    @property
    def status(self) -> str | None:
        """Return the status whose order the list has; None when the newest come first."""
        return self.statuses[0] if self.statuses is not None and len(self.statuses) == 1 else None

    @property
    def matches_nothing(self) -> bool:
        """Tell whether no job at all can be in the list."""
        return self.statuses == () or self.job_types == ()


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A page of records; ``last`` is where the next page starts, None at the end."""

    records: list[JobRecord]
    last: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class UpdatePage:
    """A consistent reading of a job and its updates after a seq, oldest first."""

    record: JobRecord
    updates: list[UpdateRecord]


def first_updates(updates: Iterable[UpdateRecord], limit: int) -> list[UpdateRecord]:
    """Return those that a page has room for: at least one, if there is any."""
    found: list[UpdateRecord] = []
    room = PAGE_BYTES
    for update in islice(updates, limit):
        room -= update.size
        if found and room < 0:
            break
        found.append(update)
    return found


@dataclass(frozen=True, slots=True)
class Swept:
    """What a pass over due jobs did."""

    rescued: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        """Return how many jobs were moved."""
        return self.rescued + self.expired


class QueueBackend(ABC):
    """A store of jobs. Subclass it to bring your own; run the contract test-suite over it."""

    name: ClassVar[str]
    namespace: str = DEFAULT_NAMESPACE
    """Which of the queues in its store this is; two namespaces share nothing."""
    idle_interval: float = 0.8
    """Seconds after which a worker that has nothing to do looks for itself, though nothing woke it."""
    flights: int = 1
    """Batches of calls that are on their way at a time: while the store works on one, the caller does."""
    emptied: int = 0
    """How often job types' settings were found gone that were there before: the store lost what it held."""

    @property
    def durability(self) -> Durability:
        """Return what an acknowledged write survives.

        ``none``: not even the end of its process (also of a backend that does not say). ``normal``: a killed
        process. ``full``: the loss of power too.
        """
        return "none"

    # -- life ------------------------------------------------------------------------------------------

    @abstractmethod
    async def open(self) -> None:
        """Connect, and create or migrate the store. Idempotent.

        Raises ``BackendUnavailable`` when the store cannot be reached, ``SchemaTooNew`` when a newer
        release wrote it (it is left untouched).
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of every resource. Idempotent; acknowledged writes are safe; watchers' waits end."""

    @abstractmethod
    def now(self) -> int:
        """Return the backend's clock in milliseconds since the Unix epoch."""

    # -- atomic writes ---------------------------------------------------------------------------------

    @abstractmethod
    async def store(
        self, jobs: Sequence[NewRecord], *, idempotency: Idempotency | None = None
    ) -> list[Stored]:
        """Insert new pending jobs: all of them or, on an error, none. One answer each, in order.

        An existing id answers with its job if ``same_content``, else raises ``JobExists``. A live job that
        holds the unique key (namespace, job type, key) is met as ``on_conflict`` says: ``return`` answers
        with it, ``reject`` raises ``DuplicateJob``, ``replace`` gives a pending one the new content (it
        keeps id, creation time and enqueue order) and answers with a processing one as it is. A later item
        meets an earlier one as if that were stored already. ``QueueFull`` when the job type has its
        ``max_pending`` pending jobs.

        ``idempotency`` (only with a single job) is bound in the same step: known with the same fingerprint,
        it answers with its job and ``replayed``; with another raises ``IdempotencyKeyReused``; with a job
        that has been removed raises ``JobGone``.
        """

    async def claim_pending_job(
        self,
        job_types: Sequence[str] | None = None,
        *,
        worker_id: str | None = None,
        lease: float = 30.0,
    ) -> JobRecord | None:
        """Claim the best ready job of these types, or None. No two callers ever get the same job.

        pending → processing. Best is: highest priority, then the earliest ``run_at``, then enqueue order,
        over all the types together; ``run_at`` must have come, the type must not be paused. The claim
        counts an attempt, clears progress and message, and makes a new lease token.
        Jobs whose lease ran out or whose ttl is over are rescued and expired before the choice.
        """
        types = None if job_types is None else tuple(job_types)
        request = ClaimRequest(types, 1, self.lease_token(), millis(lease), worker_id, WEEK)
        records = (await self.claim_pending_jobs(request)).records
        return records[0] if records else None

    def lease_token(self) -> str:
        """Return a new lease token: one that nobody can guess."""
        return Ids(SystemClock(), system_random()).lease_token()

    @abstractmethod
    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        """Claim up to ``request.limit`` jobs as ``claim_pending_job`` does, in claim order, in one step."""

    @abstractmethod
    async def apply(self, changes: Sequence[Transition], *, records: bool = True) -> list[Applied]:
        """Apply each transition whose guard holds, each for itself atomic; one answer each, in order.

        Without ``records`` the answer to an accepted change does not tell the job.

        The guard is ``transitions.check`` and the effect ``transitions.advance``. Leaving the live statuses
        frees the unique key in the same step. ``retry`` takes it again, and answers ``conflict`` while
        another live job holds it. Of a job's updates the last ``UPDATES_KEPT`` stay.
        """

    @abstractmethod
    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        """Renew (``extend``) or just look at leases; one answer each, in order.

        ``ok``: the token is current and the lease has not been taken away (also when it has run out but
        nobody has rescued the job yet). ``cancelled``: the token was current when the job was cancelled.
        ``lost``: anything else, also a stale token of a cancelled job and an unknown job.
        """

    @abstractmethod
    async def delete(self, job_ids: Sequence[str]) -> list[Outcome]:
        """Remove terminal jobs with all that belongs to them.

        One answer each, in order: ``ok``, ``unknown``, or ``terminal`` for a job that is not.
        """

    @abstractmethod
    async def sweep(self, limit: int, retention: Retention) -> Swept:
        """Rescue up to ``limit`` expired leases and expire up to ``limit`` jobs past their ttl.

        What becomes of each is ``lifecycle.rescue`` and ``lifecycle.expire``, decided and applied in one
        step on the status itself. Any number of processes may sweep at once.
        """

    @abstractmethod
    async def prune(self, limit: int) -> int:
        """Remove up to ``limit`` terminal jobs past their retention, and return how many went.

        Idempotency keys past their time and workers silent for a day go as well.
        """

    # -- reads: each job consistent in itself, and one's own writes seen ---------------------------------

    @abstractmethod
    async def get(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        """Return the jobs with these ids, None for each unknown one, in order."""

    @abstractmethod
    async def list_jobs(self, query: ListQuery) -> RecordPage:
        """Return a page of jobs; complete and without repeats for jobs whose sort key stays the same."""

    @abstractmethod
    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each type have each status; never by scanning the jobs."""

    @abstractmethod
    async def stats(self) -> dict[str, JobTypeStats]:
        """Return ready, running, delayed and the oldest ready job's age, per type with live jobs."""

    @abstractmethod
    async def read_updates(self, job_id: str, after: int, limit: int = 512) -> UpdatePage | None:
        """Return the job and its kept updates with ``seq > after``, oldest first; None if unknown.

        At most ``limit``, and at most ``PAGE_BYTES`` of them but for one; what is left out has a later seq.
        """

    async def read_many_updates(
        self, places: Sequence[tuple[str, int]]
    ) -> list[UpdatePage | BaseException | None]:
        """Return what ``read_updates`` returns or raises for each job and seq, in order."""
        readings = (self.read_updates(job_id, after) for job_id, after in places)
        return await asyncio.gather(*readings, return_exceptions=True)

    # -- waiting ---------------------------------------------------------------------------------------

    @abstractmethod
    def watch(self, topics: Sequence[str]) -> AbstractContextManager[Bell]:
        """Yield a bell that rings when one of ``topics`` (see ``bells``) may have changed.

        It may ring for nothing. It rings within 0.2 s for a change of another process as long as nothing
        is broken; whoever waits looks again after a second anyway.
        """

    # -- job types -------------------------------------------------------------------------------------

    @abstractmethod
    async def job_types(self) -> dict[str, TypeRecord]:
        """Return the settings of every job type that has any."""

    @abstractmethod
    async def set_job_type(
        self, job_type: str, *, operator: bytes | None = None, published: bytes | None = None
    ) -> TypeRecord:
        """Replace the operator's or the published settings of a job type (JSON; None leaves as it is)."""

    @abstractmethod
    async def pause(self, job_type: str, *, until: int | None, reason: str | None) -> TypeRecord:
        """Stop claims of this type in every process, from the moment this returns; creates the type."""

    @abstractmethod
    async def resume(self, job_type: str) -> TypeRecord:
        """Allow claims of this type again and wake its workers."""

    # -- workers ---------------------------------------------------------------------------------------

    @abstractmethod
    async def beat_worker(self, beat: WorkerBeat) -> str:
        """Create or refresh a worker's entry; return the directive set for it: run, quiet or stop.

        The entry becomes ``beat.onto`` it, in one step: of what the beat leaves out, it keeps what it has.
        """

    @abstractmethod
    async def worker(self, worker_id: str) -> WorkerRecord | None:
        """Return a registered worker; None when there is no such worker."""

    @abstractmethod
    async def workers(self) -> list[WorkerRecord]:
        """Return the registered workers, latest started first."""

    @abstractmethod
    async def signal_worker(self, worker_id: str, directive: str) -> bool:
        """Set a worker's directive; False when there is no such worker."""

    @abstractmethod
    async def remove_worker(self, worker_id: str) -> None:
        """Forget a worker that has ended."""

    # -- history ---------------------------------------------------------------------------------------

    @abstractmethod
    async def history(self, since: int) -> list[HistoryPoint]:
        """Return the per-minute figures of each job type from ``since`` on, oldest first."""

    @abstractmethod
    async def error_groups(self, since: int) -> list[ErrorGroup]:
        """Return failed attempts since then, grouped by job type and error type, most frequent first."""
