"""Jobs in the memory of one process: for tests, trials and work that may be lost.

No method awaits between reading and writing, so each is one atomic step of its event loop, without locks.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.backends import refusals
from jdobb_async_queue.backends.base import (
    DEFAULT_NAMESPACE,
    UPDATES_KEPT,
    Applied,
    Claimed,
    ClaimRequest,
    LeaseAnswer,
    RecordPage,
    Stored,
    Swept,
    UpdatePage,
    first_updates,
)
from jdobb_async_queue.backends.bells import CANCELLED, Bell
from jdobb_async_queue.backends.history import Ledger
from jdobb_async_queue.backends.listing import matches, sort_key
from jdobb_async_queue.backends.memory.jobs import Jobs
from jdobb_async_queue.backends.memory.keys import IdempotencyKeys
from jdobb_async_queue.backends.memory.registry import MemoryRegistry
from jdobb_async_queue.clock import Ids, SystemClock, system_random
from jdobb_async_queue.errors import (
    JobConflict,
    QueueFull,
)
from jdobb_async_queue.lifecycle import expire, rescue, same_content
from jdobb_async_queue.models import JobTypeStats, Outcome
from jdobb_async_queue.records import Retention, resolve_settings
from jdobb_async_queue.transitions import advance, check, is_cancelled, start

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from jdobb_async_queue.backends.base import LeaseRef, ListQuery
    from jdobb_async_queue.clock import Clock
    from jdobb_async_queue.models import ErrorGroup, HistoryPoint, Idempotency
    from jdobb_async_queue.records import JobRecord, NewRecord, UpdateRecord
    from jdobb_async_queue.transitions import AttemptFailure, Transition

_SWEEP_PER_CLAIM = 100
_FORGET_PER_STORE = 4
"""Idempotency keys past their time that a call drops: more than it may bind."""


class MemoryBackend(MemoryRegistry):
    """A queue in this process's memory; finished jobs are bounded by ``max_finished`` besides retention."""

    name: ClassVar[str] = "memory"

    def __init__(
        self,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        max_finished: int = 10_000,
        updates_kept: int = UPDATES_KEPT,
    ) -> None:
        super().__init__()
        self.namespace = namespace
        self._clock = clock or SystemClock()
        self._ids = Ids(self._clock, rng or system_random())
        self._seq = 0
        self._jobs = Jobs(max_finished, updates_kept)
        self._idempotency = IdempotencyKeys()
        self._ledger = Ledger()

    async def open(self) -> None:
        """Do nothing: memory is always open."""

    async def close(self) -> None:
        """Wake whoever waits; the jobs go with the object."""
        self._bells.ring_all()

    def now(self) -> int:
        """Return the process's clock in milliseconds."""
        return self._clock.now()

    def lease_token(self) -> str:
        """Return a new lease token."""
        return self._ids.lease_token()

    # -- atomic writes ---------------------------------------------------------------------------------

    async def store(
        self, jobs: Sequence[NewRecord], *, idempotency: Idempotency | None = None
    ) -> list[Stored]:
        """Insert new jobs; see ``QueueBackend.store``."""
        self._idempotency.forget(self.now(), _FORGET_PER_STORE)
        if idempotency is not None:
            replay = self._replay(idempotency)
            if replay is not None:
                return [replay]
        undo: list[tuple[str, JobRecord | None]] = []
        stored: list[Stored] = []
        try:
            stored.extend(self._store_one(new, undo) for new in jobs)
        except (JobConflict, QueueFull):
            self._undo(undo)
            raise
        for job_id, before in undo:
            record = self._jobs[job_id]
            if before is None:
                self._ledger.stored(record)
            self._bells.ring_type(record.job_type)
        if idempotency is not None:
            self._idempotency.bind(idempotency, stored[0].record.id, self.now())
        return stored

    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        """Claim jobs in claim order; see ``QueueBackend.claim_pending_jobs``."""
        now = self.now()
        self._sweep(_SWEEP_PER_CLAIM, request.retention, now)
        wanted = self._jobs.types if request.job_types is None else dict.fromkeys(request.job_types)
        types = [job_type for job_type in wanted if not self._is_paused(job_type, now)]
        claimed: list[JobRecord] = []
        while len(claimed) < request.limit:
            job_id = self._jobs.ready.best(types, now)
            if job_id is None:
                break
            old = self._jobs[job_id]
            if old.start_by is not None and old.start_by <= now:
                self._apply_one(old, expire(old, request.retention), now)
                continue
            token = f"{request.token}.{len(claimed)}"
            new, update = start(old, token, request.lease, request.worker_id, now)
            self._move(old, new, update, now)
            claimed.append(self._with_type(new))
        is_full = len(claimed) == request.limit
        return Claimed(claimed, None if is_full else self._next_due(wanted, now))

    async def apply(self, changes: Sequence[Transition], *, records: bool = True) -> list[Applied]:
        """Apply guarded transitions; see ``QueueBackend.apply``."""
        now = self.now()
        answers: list[Applied] = []
        for change in changes:
            record = self._jobs.get(change.job_id)
            outcome = check(record, change)
            if record is not None and outcome is Outcome.OK:
                if (
                    change.verb == "retry"
                    and self._jobs.holder(record.job_type, record.unique_key) is not None
                ):
                    outcome = Outcome.CONFLICT
                else:
                    record = self._apply_one(record, change, now)
                    record = record if records else None
            answers.append(Applied(outcome, None if record is None else self._with_type(record)))
        return answers

    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        """Renew or look at leases; see ``QueueBackend.heartbeat``."""
        now = self.now()
        answers: list[LeaseAnswer] = []
        for ref in leases:
            record = self._jobs.get(ref.job_id)
            if record is None or record.lease_token != ref.token or record.lease_expires_at is None:
                cancelled = record is not None and is_cancelled(record.status, record.settled, ref.token)
                answers.append(LeaseAnswer("cancelled" if cancelled else "lost"))
                continue
            expires_at = record.lease_expires_at
            if ref.extend:
                expires_at = now + record.lease
                renewed = record.copy()
                renewed.lease_expires_at = expires_at
                self._jobs.renew(renewed)
            answers.append(LeaseAnswer("ok", max(0, expires_at - now)))
        return answers

    async def delete(self, job_ids: Sequence[str]) -> list[Outcome]:
        """Remove terminal jobs; see ``QueueBackend.delete``."""
        answers: list[Outcome] = []
        for job_id in job_ids:
            record = self._jobs.get(job_id)
            if record is None:
                answers.append(Outcome.UNKNOWN)
            elif not record.is_terminal:
                answers.append(Outcome.TERMINAL)
            else:
                self._remove(record)
                answers.append(Outcome.OK)
        return answers

    async def sweep(self, limit: int, retention: Retention) -> Swept:
        """Rescue and expire due jobs; see ``QueueBackend.sweep``."""
        return self._sweep(limit, retention, self.now())

    async def prune(self, limit: int) -> int:
        """Remove what is past its retention; see ``QueueBackend.prune``."""
        now, removed = self.now(), 0
        while removed < limit and (record := self._jobs.pop_past_retention(now)) is not None:
            self._remove(record)
            removed += 1
        self._idempotency.forget(now, limit)
        self._forget_workers(now)
        self._ledger.forget(now)
        return removed

    # -- reads -----------------------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        """Return the jobs with these ids, None for each unknown one."""
        found = (self._jobs.get(job_id) for job_id in job_ids)
        return [None if record is None else self._with_type(record) for record in found]

    async def list_jobs(self, query: ListQuery) -> RecordPage:
        """Return a page of jobs; see ``QueueBackend.list_jobs``."""
        found: list[JobRecord] = []
        last: tuple[int, ...] | None = None
        for examined, record in enumerate(self._jobs.in_order(query)):
            if len(found) == query.limit or examined == query.examine:
                return RecordPage(found, last)
            last = sort_key(record, query)
            if matches(record, query):
                found.append(self._with_type(record))
        return RecordPage(found, None)

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each type have each status."""
        return self._jobs.counts()

    async def stats(self) -> dict[str, JobTypeStats]:
        """Return ready, running, delayed and the oldest ready age, per type with live jobs."""
        now = self.now()
        answer: dict[str, JobTypeStats] = {}
        for job_type in self._jobs.types:
            pending = self._jobs.count(job_type, "pending")
            running = self._jobs.count(job_type, "processing")
            if pending or running:
                ready, oldest = self._jobs.ready.oldest(job_type, now)
                age = None if oldest is None else max(0, now - oldest) / 1000
                answer[job_type] = JobTypeStats(
                    ready=ready, running=running, delayed=pending - ready, oldest_ready_age=age
                )
        return answer

    async def read_updates(self, job_id: str, after: int, limit: int = 512) -> UpdatePage | None:
        """Return the job and its kept updates after a seq."""
        record = self._jobs.get(job_id)
        if record is None:
            return None
        newest_first = takewhile(lambda update: update.seq > after, reversed(self._jobs.updates(job_id)))
        return UpdatePage(self._with_type(record), first_updates(reversed([*newest_first]), limit))

    async def read_many_updates(
        self, places: Sequence[tuple[str, int]]
    ) -> list[UpdatePage | BaseException | None]:
        """Return what ``read_updates`` does for each; without tasks, for none of it waits."""
        return [await self.read_updates(job_id, after) for job_id, after in places]

    def watch(self, topics: Sequence[str]) -> AbstractContextManager[Bell]:
        """Yield a bell for these topics."""
        return self._bells.watch(topics)

    # -- history ---------------------------------------------------------------------------------------

    async def history(self, since: int) -> list[HistoryPoint]:
        """Return the per-minute figures from ``since`` on."""
        return self._ledger.points(since)

    async def error_groups(self, since: int) -> list[ErrorGroup]:
        """Return failed attempts since then, grouped."""
        return self._ledger.groups(since)

    # -- storing ---------------------------------------------------------------------------------------

    def _replay(self, idempotency: Idempotency) -> Stored | None:
        bound = self._idempotency.find(idempotency, self.now())
        if bound is None:
            return None
        if bound.fingerprint != idempotency.fingerprint:
            raise refusals.reused(bound.job_id)
        record = self._jobs.get(bound.job_id)
        if record is None:
            raise refusals.gone(bound.job_id)
        return Stored(self._with_type(record), created=False, replayed=True)

    def _store_one(self, new: NewRecord, undo: list[tuple[str, JobRecord | None]]) -> Stored:
        now = self.now()
        known = self._jobs.get(new.id)
        if known is not None:
            if not same_content(known, new):
                raise refusals.exists(new.id)
            return Stored(self._with_type(known), created=False)
        holder = self._jobs.holder(new.job_type, new.unique_key)
        if holder is not None:
            return self._meet(holder, new, undo, now)
        self._check_room(new)
        self._seq += 1
        record = new.to_record(now, self._seq)
        self._jobs.insert(record, now)
        undo.append((record.id, None))
        return Stored(self._with_type(record), created=True)

    def _meet(
        self, held: JobRecord, new: NewRecord, undo: list[tuple[str, JobRecord | None]], now: int
    ) -> Stored:
        if new.on_conflict == "reject":
            raise refusals.duplicate(new.job_type, new.unique_key, held.id)
        if new.on_conflict == "replace" and held.status == "pending":
            replaced = new.replaced(held, now)
            undo.append((held.id, held))
            self._jobs.move(held, replaced, None, now)
            return Stored(self._with_type(replaced), created=False)
        return Stored(self._with_type(held), created=False)

    def _check_room(self, new: NewRecord) -> None:
        settings = self._type(new.job_type)
        limit = resolve_settings(None, settings.operator, settings.published).max_pending
        limit = new.max_pending if limit is None else limit
        if limit is not None and self._jobs.count(new.job_type, "pending") >= limit:
            raise QueueFull(new.job_type, limit)

    def _undo(self, undo: list[tuple[str, JobRecord | None]]) -> None:
        for job_id, before in reversed(undo):
            if before is None:
                self._jobs.remove(self._jobs[job_id])
            else:
                self._jobs.move(self._jobs[job_id], before, None, self.now())

    # -- moving ----------------------------------------------------------------------------------------

    def _apply_one(self, old: JobRecord, change: Transition, now: int) -> JobRecord:
        new, update = advance(old, change, now)
        self._move(old, new, update, now, change.failure)
        if change.verb == "cancel" and old.status == "processing":
            self._bells.ring(CANCELLED)
        return new

    def _move(
        self,
        old: JobRecord,
        new: JobRecord,
        update: UpdateRecord | None,
        now: int,
        failure: AttemptFailure | None = None,
    ) -> None:
        self._jobs.move(old, new, update, now)
        self._ledger.moved(old, new, failure)
        if update is not None:
            self._bells.ring_job(new.id)
        if new.status == "pending" and old.status != "pending":
            self._bells.ring_type(new.job_type)

    def _remove(self, record: JobRecord) -> None:
        self._jobs.remove(record)
        self._bells.ring_job(record.id)

    def _next_due(self, job_types: Iterable[str], now: int) -> int | None:
        due = [self._jobs.next_lease_end(), self._jobs.next_deadline()]
        for job_type in job_types:
            if self._is_paused(job_type, now):
                due.append(self._types[job_type].pause_until)
            else:
                due.append(self._jobs.ready.next_run_at(job_type))
        return min((at for at in due if at is not None), default=None)

    def _sweep(self, limit: int, retention: Retention, now: int) -> Swept:
        rescued = expired = 0
        while rescued < limit and (record := self._jobs.pop_expired_lease(now)) is not None:
            self._apply_one(record, rescue(self._with_type(record), retention), now)
            rescued += 1
        while expired < limit and (record := self._jobs.pop_past_deadline(now)) is not None:
            self._apply_one(record, expire(record, retention), now)
            expired += 1
        return Swept(rescued, expired)
