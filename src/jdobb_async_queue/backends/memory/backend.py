"""Jobs in the memory of one process: for tests, trials and work that may be lost.

No method awaits between reading and writing, so each is one atomic step of its event loop, without locks.
"""

from __future__ import annotations

from collections import deque
from heapq import nsmallest
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.backends.base import (
    UPDATES_KEPT,
    Applied,
    ClaimRequest,
    LeaseAnswer,
    QueueBackend,
    RecordPage,
    Stored,
    Swept,
    UpdatePage,
)
from jdobb_async_queue.backends.bells import CANCELLED, Bell, Bells
from jdobb_async_queue.backends.history import DAY, Ledger
from jdobb_async_queue.backends.listing import matches, sort_key
from jdobb_async_queue.backends.memory.indexes import LazyHeap, Ready
from jdobb_async_queue.clock import Ids, SystemClock, system_random
from jdobb_async_queue.errors import (
    DuplicateJob,
    IdempotencyKeyReused,
    JobConflict,
    JobExists,
    JobGone,
    QueueFull,
)
from jdobb_async_queue.lifecycle import expire, millis, rescue, same_content
from jdobb_async_queue.models import JobTypeStats, Outcome
from jdobb_async_queue.records import Retention, TypeRecord, resolve_settings
from jdobb_async_queue.transitions import advance, check, start

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from jdobb_async_queue.backends.base import LeaseRef, ListQuery
    from jdobb_async_queue.clock import Clock
    from jdobb_async_queue.models import ErrorGroup, HistoryPoint, Idempotency
    from jdobb_async_queue.records import JobRecord, NewRecord, UpdateRecord, WorkerRecord
    from jdobb_async_queue.transitions import Transition

WEEK_RETENTION = Retention(604_800_000, 604_800_000, 604_800_000)
_SWEEP_PER_CLAIM = 100


class MemoryBackend(QueueBackend):
    """A queue in this process's memory; finished jobs are bounded by ``max_finished`` besides retention."""

    name: ClassVar[str] = "memory"

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        max_finished: int = 10_000,
        updates_kept: int = UPDATES_KEPT,
    ) -> None:
        self._clock = clock or SystemClock()
        self._ids = Ids(self._clock, rng or system_random())
        self._max_finished, self._updates_kept = max_finished, updates_kept
        self._bells = Bells()
        self._seq = 0
        self._jobs: dict[str, JobRecord] = {}
        self._by_status: dict[str, dict[str, None]] = {
            status: {} for status in ("pending", "processing", "complete", "failed", "cancelled")
        }
        self._finished: dict[str, None] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._unique: dict[tuple[str, str], str] = {}
        self._idempotency: dict[tuple[str, str], tuple[str, str, int]] = {}
        self._updates: dict[str, deque[UpdateRecord]] = {}
        self._types: dict[str, TypeRecord] = {}
        self._workers: dict[str, WorkerRecord] = {}
        self._ledger = Ledger()
        self._ready = Ready(self._jobs, lambda job_type: self._count(job_type, "pending"))
        self._leases = LazyHeap(self._is_lease, lambda: len(self._by_status["processing"]))
        self._deadlines = LazyHeap(self._is_deadline, lambda: len(self._by_status["pending"]))
        self._prunable = LazyHeap(self._is_prunable, lambda: len(self._finished))

    async def open(self) -> None:
        """Do nothing: memory is always open."""

    async def close(self) -> None:
        """Wake whoever waits; the jobs go with the object."""
        self._bells.ring_all()

    def now(self) -> int:
        """Return the process's clock in milliseconds."""
        return self._clock.now()

    # -- atomic writes ---------------------------------------------------------------------------------

    async def store(
        self, jobs: Sequence[NewRecord], *, idempotency: Idempotency | None = None
    ) -> list[Stored]:
        """Insert new jobs; see ``QueueBackend.store``."""
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
            expires_at = self.now() + millis(idempotency.keep)
            key = (idempotency.scope, idempotency.key)
            self._idempotency[key] = (idempotency.fingerprint, stored[0].record.id, expires_at)
        return stored

    async def claim_pending_job(
        self,
        job_types: Sequence[str] | None = None,
        *,
        worker_id: str | None = None,
        lease: float = 30.0,
    ) -> JobRecord | None:
        """Claim the best ready job; see ``QueueBackend.claim_pending_job``."""
        types = None if job_types is None else tuple(job_types)
        request = ClaimRequest(types, 1, self._ids.lease_token(), millis(lease), worker_id, WEEK_RETENTION)
        claimed = await self.claim_pending_jobs(request)
        return claimed[0] if claimed else None

    async def claim_pending_jobs(self, request: ClaimRequest) -> list[JobRecord]:
        """Claim jobs in claim order; see ``QueueBackend.claim_pending_jobs``."""
        now = self.now()
        self._sweep(_SWEEP_PER_CLAIM, request.retention, now)
        wanted = self._counts if request.job_types is None else dict.fromkeys(request.job_types)
        types = [job_type for job_type in wanted if not self._is_paused(job_type, now)]
        claimed: list[JobRecord] = []
        while len(claimed) < request.limit:
            job_id = self._ready.best(types, now)
            if job_id is None:
                break
            old = self._jobs[job_id]
            if old.start_by is not None and old.start_by <= now:
                self._apply_one(old, expire(old, request.retention), now)
                continue
            token = f"{request.token}.{len(claimed)}"
            new, update = start(old, token, request.lease, request.worker_id, now)
            self._move(old, new, update)
            claimed.append(self._with_type(new))
        return claimed

    async def apply(self, changes: Sequence[Transition]) -> list[Applied]:
        """Apply guarded transitions; see ``QueueBackend.apply``."""
        now = self.now()
        answers: list[Applied] = []
        for change in changes:
            record = self._jobs.get(change.job_id)
            outcome = check(record, change)
            if record is not None and outcome is Outcome.OK:
                if change.verb == "retry" and self._holder(record) is not None:
                    outcome = Outcome.CONFLICT
                else:
                    record = self._apply_one(record, change, now)
            answers.append(Applied(outcome, None if record is None else self._with_type(record)))
        return answers

    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        """Renew or look at leases; see ``QueueBackend.heartbeat``."""
        now = self.now()
        answers: list[LeaseAnswer] = []
        for ref in leases:
            record = self._jobs.get(ref.job_id)
            if record is None or record.lease_token != ref.token or record.lease_expires_at is None:
                cancelled = record is not None and record.status == "cancelled"
                answers.append(LeaseAnswer("cancelled" if cancelled else "lost"))
                continue
            expires_at = record.lease_expires_at
            if ref.extend:
                expires_at = now + record.lease
                renewed = record.copy()
                renewed.lease_expires_at = expires_at
                self._jobs[ref.job_id] = renewed
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
        while removed < limit and (top := self._prunable.peek()) is not None and top[0] <= now:
            self._prunable.pop()
            self._remove(self._jobs[top[-1]])
            removed += 1
        for key in [key for key, (_, _, ends) in self._idempotency.items() if ends <= now][:limit]:
            del self._idempotency[key]
        for worker in [w for w in self._workers.values() if w.last_heartbeat_at < now - DAY]:
            del self._workers[worker.id]
        self._ledger.forget(now - DAY)
        return removed

    # -- reads -----------------------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        """Return the jobs with these ids, None for each unknown one."""
        found = (self._jobs.get(job_id) for job_id in job_ids)
        return [None if record is None else self._with_type(record) for record in found]

    async def list_jobs(self, query: ListQuery) -> RecordPage:
        """Return a page of jobs; see ``QueueBackend.list_jobs``."""
        after = None if query.after is None else tuple(query.after)
        found: list[JobRecord] = []
        last: tuple[int, ...] | None = None
        examined = 0
        for record in self._in_order(query):
            key = sort_key(record, query)
            if after is not None and key <= after:
                continue
            if len(found) == query.limit or examined == query.examine:
                return RecordPage(found, last)
            examined += 1
            last = key
            if matches(record, query):
                found.append(self._with_type(record))
        return RecordPage(found, None)

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each type have each status."""
        return {
            job_type: {status: n for status, n in counts.items() if n}
            for job_type, counts in self._counts.items()
        }

    async def stats(self) -> dict[str, JobTypeStats]:
        """Return ready, running, delayed and the oldest ready age, per type with live jobs."""
        now = self.now()
        answer: dict[str, JobTypeStats] = {}
        for job_type in list(self._counts):
            pending, running = self._count(job_type, "pending"), self._count(job_type, "processing")
            if pending or running:
                ready, oldest = self._ready.oldest(job_type, now)
                age = None if oldest is None else max(0, now - oldest) / 1000
                answer[job_type] = JobTypeStats(
                    ready=ready, running=running, delayed=pending - ready, oldest_ready_age=age
                )
        return answer

    async def next_due(self, job_types: Sequence[str] | None) -> int | None:
        """Return when time alone next makes one of these types claimable."""
        now = self.now()
        first = self._leases.peek()
        due: list[int] = [] if first is None else [first[0]]
        for job_type in self._counts if job_types is None else job_types:
            if self._is_paused(job_type, now):
                ready_at = self._types[job_type].pause_until
            else:
                ready_at = self._ready.next_run_at(job_type)
            if ready_at is not None:
                due.append(ready_at)
        return min(due, default=None)

    async def read_updates(self, job_id: str, after: int, limit: int = 512) -> UpdatePage | None:
        """Return the job and its kept updates after a seq."""
        record = self._jobs.get(job_id)
        if record is None:
            return None
        kept = self._updates.get(job_id, ())
        return UpdatePage(self._with_type(record), [update for update in kept if update.seq > after][:limit])

    def watch(self, topics: Sequence[str]) -> AbstractContextManager[Bell]:
        """Yield a bell for these topics."""
        return self._bells.watch(topics)

    # -- job types and workers -------------------------------------------------------------------------

    async def job_types(self) -> dict[str, TypeRecord]:
        """Return the settings of every job type that has any."""
        return dict(self._types)

    async def set_job_type(
        self, job_type: str, *, operator: bytes | None = None, published: bytes | None = None
    ) -> TypeRecord:
        """Replace a job type's settings."""
        known = self._type(job_type)
        return self._put_type(
            TypeRecord(
                job_type,
                known.operator if operator is None else operator,
                known.published if published is None else published,
                known.paused,
                known.pause_reason,
                known.pause_until,
            )
        )

    async def pause(self, job_type: str, *, until: int | None, reason: str | None) -> TypeRecord:
        """Stop claims of this type."""
        known = self._type(job_type)
        return self._put_type(
            TypeRecord(job_type, known.operator, known.published, True, reason, until)  # noqa: FBT003 - a dataclass field
        )

    async def resume(self, job_type: str) -> TypeRecord:
        """Allow claims of this type again."""
        known = self._type(job_type)
        settings = self._put_type(TypeRecord(job_type, known.operator, known.published))
        self._bells.ring_type(job_type)
        return settings

    async def beat_worker(self, worker: WorkerRecord) -> str:
        """Refresh a worker's entry and return its directive."""
        known = self._workers.get(worker.id)
        if known is not None:
            worker.directive = known.directive
        worker.last_heartbeat_at = self.now()
        self._workers[worker.id] = worker
        return worker.directive

    async def workers(self) -> list[WorkerRecord]:
        """Return the registered workers, latest started first."""
        return sorted(self._workers.values(), key=lambda worker: (-worker.started_at, worker.id))

    async def signal_worker(self, worker_id: str, directive: str) -> bool:
        """Set a worker's directive."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            worker.directive = directive
            self._bells.ring(CANCELLED)
        return worker is not None

    async def remove_worker(self, worker_id: str) -> None:
        """Forget a worker."""
        self._workers.pop(worker_id, None)

    async def history(self, since: int) -> list[HistoryPoint]:
        """Return the per-minute figures from ``since`` on."""
        return self._ledger.points(since)

    async def error_groups(self, since: int) -> list[ErrorGroup]:
        """Return failed attempts since then, grouped."""
        return self._ledger.groups(since)

    # -- storing ---------------------------------------------------------------------------------------

    def _replay(self, idempotency: Idempotency) -> Stored | None:
        bound = self._idempotency.get((idempotency.scope, idempotency.key))
        if bound is None or bound[2] <= self.now():
            return None
        fingerprint, job_id, _ = bound
        if fingerprint != idempotency.fingerprint:
            msg = "the idempotency key was used before with another body"
            raise IdempotencyKeyReused(msg, job_id)
        record = self._jobs.get(job_id)
        if record is None:
            msg = "the job of this idempotency key has been removed"
            raise JobGone(msg, job_id)
        return Stored(self._with_type(record), created=False, replayed=True)

    def _store_one(self, new: NewRecord, undo: list[tuple[str, JobRecord | None]]) -> Stored:
        now = self.now()
        known = self._jobs.get(new.id)
        if known is not None:
            if not same_content(known, new):
                msg = f"the id {new.id!r} belongs to a job with other content"
                raise JobExists(msg, new.id)
            return Stored(self._with_type(known), created=False)
        holder = None if new.unique_key is None else self._unique.get((new.job_type, new.unique_key))
        if holder is not None:
            return self._meet(self._jobs[holder], new, undo, now)
        self._check_room(new)
        self._seq += 1
        record = new.to_record(now, self._seq)
        self._insert(record, now)
        undo.append((record.id, None))
        return Stored(self._with_type(record), created=True)

    def _meet(
        self, held: JobRecord, new: NewRecord, undo: list[tuple[str, JobRecord | None]], now: int
    ) -> Stored:
        if new.on_conflict == "reject":
            msg = f"a live {new.job_type!r} job holds the unique key {new.unique_key!r}"
            raise DuplicateJob(msg, held.id)
        if new.on_conflict == "replace" and held.status == "pending":
            replaced = new.replaced(held, now)
            undo.append((held.id, held))
            self._jobs[held.id] = replaced
            self._index_pending(replaced, now)
            return Stored(self._with_type(replaced), created=False)
        return Stored(self._with_type(held), created=False)

    def _check_room(self, new: NewRecord) -> None:
        settings = self._type(new.job_type)
        limit = resolve_settings(None, settings.operator, settings.published).max_pending
        limit = new.max_pending if limit is None else limit
        if limit is not None and self._count(new.job_type, "pending") >= limit:
            raise QueueFull(new.job_type, limit)

    def _insert(self, record: JobRecord, now: int) -> None:
        self._jobs[record.id] = record
        self._by_status["pending"][record.id] = None
        self._bump(record, 1)
        if record.unique_key is not None:
            self._unique[record.job_type, record.unique_key] = record.id
        self._index_pending(record, now)

    def _undo(self, undo: list[tuple[str, JobRecord | None]]) -> None:
        for job_id, before in reversed(undo):
            if before is None:
                self._remove(self._jobs[job_id])
            else:
                self._jobs[job_id] = before
                self._index_pending(before, self.now())

    # -- moving ----------------------------------------------------------------------------------------

    def _apply_one(self, old: JobRecord, change: Transition, now: int) -> JobRecord:
        new, update = advance(old, change, now)
        self._move(old, new, update)
        self._ledger.moved(old, new, change.failure)
        if change.verb == "cancel" and old.status == "processing":
            self._bells.ring(CANCELLED)
        return new

    def _move(self, old: JobRecord, new: JobRecord, update: UpdateRecord | None) -> None:
        self._jobs[new.id] = new
        if update is not None:
            self._append(new, update)
        if new.status != old.status:
            self._reindex(old, new)
        elif new.status == "pending" and new.run_at != old.run_at:
            self._index_pending(new, new.updated_at)
        if new.holds_key != old.holds_key:
            self._hold_key(new)
        if update is not None:
            self._bells.ring_job(new.id)

    def _reindex(self, old: JobRecord, new: JobRecord) -> None:
        del self._by_status[old.status][old.id]
        self._bump(old, -1)
        self._by_status[new.status][new.id] = None
        self._bump(new, 1)
        if old.completed_at is not None:
            self._finished.pop(old.id, None)
        if new.status == "pending":
            self._index_pending(new, new.updated_at)
            self._bells.ring_type(new.job_type)
        elif new.status == "processing":
            self._leases.push((new.lease_expires_at, new.lease_token, new.id))
            self._ledger.moved(old, new)
        else:
            self._finish(new)

    def _finish(self, record: JobRecord) -> None:
        self._finished[record.id] = None
        if record.prune_at is not None:
            self._prunable.push((record.prune_at, record.id))
        while len(self._finished) > self._max_finished:
            self._remove(self._jobs[next(iter(self._finished))])

    def _index_pending(self, record: JobRecord, now: int) -> None:
        self._ready.add(record, now)
        if record.start_by is not None:
            self._deadlines.push((record.start_by, record.id))

    def _hold_key(self, record: JobRecord) -> None:
        if record.unique_key is None:
            return
        key = (record.job_type, record.unique_key)
        if record.holds_key:
            self._unique[key] = record.id
        elif self._unique.get(key) == record.id:
            del self._unique[key]

    def _holder(self, record: JobRecord) -> str | None:
        if record.unique_key is None:
            return None
        return self._unique.get((record.job_type, record.unique_key))

    def _append(self, record: JobRecord, update: UpdateRecord) -> None:
        log = self._updates.get(record.id)
        if log is None:
            log = self._updates[record.id] = deque()
        log.append(update)
        if len(log) > self._updates_kept:
            record.trimmed_seq = log.popleft().seq

    def _remove(self, record: JobRecord) -> None:
        del self._jobs[record.id]
        del self._by_status[record.status][record.id]
        self._finished.pop(record.id, None)
        self._updates.pop(record.id, None)
        self._bump(record, -1)
        if not any(self._counts[record.job_type].values()):
            del self._counts[record.job_type]
        if record.holds_key:
            released = record.copy()
            released.holds_key = False
            self._hold_key(released)
        self._bells.ring_job(record.id)

    def _sweep(self, limit: int, retention: Retention, now: int) -> Swept:
        rescued = expired = 0
        while rescued < limit and (top := self._leases.peek()) is not None and top[0] <= now:
            self._leases.pop()
            record = self._jobs[top[-1]]
            if record.lease_expires_at is not None and record.lease_expires_at > now:
                self._leases.push((record.lease_expires_at, record.lease_token, record.id))
                continue
            self._apply_one(record, rescue(self._with_type(record), retention), now)
            rescued += 1
        while expired < limit and (top := self._deadlines.peek()) is not None and top[0] <= now:
            self._deadlines.pop()
            record = self._jobs[top[-1]]
            self._apply_one(record, expire(record, retention), now)
            expired += 1
        return Swept(rescued, expired)

    # -- what index entries say ------------------------------------------------------------------------

    def _is_lease(self, entry: tuple[int, str, str]) -> bool:
        record = self._jobs.get(entry[2])
        return record is not None and record.lease_token == entry[1]

    def _is_deadline(self, entry: tuple[int, str]) -> bool:
        record = self._jobs.get(entry[1])
        return record is not None and record.status == "pending" and record.start_by == entry[0]

    def _is_prunable(self, entry: tuple[int, str]) -> bool:
        record = self._jobs.get(entry[1])
        return record is not None and record.prune_at == entry[0]

    # -- small things ----------------------------------------------------------------------------------

    def _in_order(self, query: ListQuery) -> Sequence[JobRecord] | map[JobRecord]:
        if len(query.statuses) != 1:
            return map(self._jobs.__getitem__, reversed(self._jobs))
        found = [self._jobs[job_id] for job_id in self._by_status[query.statuses[0]]]
        if query.after is not None:
            found = [record for record in found if sort_key(record, query) > query.after]
        return nsmallest(query.examine + 1, found, key=lambda record: sort_key(record, query))

    def _with_type(self, record: JobRecord) -> JobRecord:
        settings = self._types.get(record.job_type)
        if settings is None or (
            record.operator_settings is settings.operator and record.published_settings is settings.published
        ):
            return record
        seen = record.copy()
        seen.operator_settings, seen.published_settings = settings.operator, settings.published
        return seen

    def _type(self, job_type: str) -> TypeRecord:
        return self._types.get(job_type) or TypeRecord(job_type)

    def _put_type(self, settings: TypeRecord) -> TypeRecord:
        self._types[settings.job_type] = settings
        return settings

    def _is_paused(self, job_type: str, now: int) -> bool:
        settings = self._types.get(job_type)
        if settings is None or not settings.paused:
            return False
        return settings.pause_until is None or settings.pause_until > now

    def _count(self, job_type: str, status: str) -> int:
        return self._counts.get(job_type, {}).get(status, 0)

    def _bump(self, record: JobRecord, by: int) -> None:
        counts = self._counts.get(record.job_type)
        if counts is None:
            counts = self._counts[record.job_type] = dict.fromkeys(self._by_status, 0)
        counts[record.status] += by
