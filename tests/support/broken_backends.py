"""Memory backends that are wrong in one way each, which the simulation or the random histories must find."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jdobb_async_queue import Outcome
from jdobb_async_queue.backends.base import (
    Applied,
    Claimed,
    ClaimRequest,
    LeaseAnswer,
    LeaseRef,
    ListQuery,
    RecordPage,
    Stored,
    Swept,
    UpdatePage,
)
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.backends.memory.indexes import Ready
from jdobb_async_queue.backends.memory.jobs import Jobs
from jdobb_async_queue.lifecycle import expire, rescue
from jdobb_async_queue.models import Idempotency, JobTypeStats
from jdobb_async_queue.records import JobRecord, NewRecord, Retention, UpdateRecord, WorkerBeat
from jdobb_async_queue.transitions import LIVE, RETRYABLE, Transition, advance, start

TERMINAL = frozenset({"complete", "failed", "cancelled"})

# -- settling ------------------------------------------------------------------------------------------------


class CompletesWithAnyToken(MemoryBackend):
    """A completion is accepted whatever its token is."""

    async def apply(self, changes: Sequence[Transition], **options: Any) -> list[Applied]:
        bare = [replace(each, lease_token=None) if each.verb == "complete" else each for each in changes]
        return await super().apply(bare, **options)


class CancelsTheFinished(MemoryBackend):
    """A cancellation overwrites what has ended."""

    async def apply(self, changes: Sequence[Transition], **options: Any) -> list[Applied]:
        wider = [
            replace(each, allowed=LIVE | TERMINAL) if each.verb == "cancel" else each for each in changes
        ]
        return await super().apply(wider, **options)


class RetriesTheComplete(MemoryBackend):
    """A complete job may be retried."""

    async def apply(self, changes: Sequence[Transition], **options: Any) -> list[Applied]:
        wider = [
            replace(each, allowed=RETRYABLE | {"complete"}) if each.verb == "retry" else each
            for each in changes
        ]
        return await super().apply(wider, **options)


class KeepsRefusedResults(MemoryBackend):
    """A completion that comes too late leaves its results."""

    async def apply(self, changes: Sequence[Transition], **options: Any) -> list[Applied]:
        answers = await super().apply(changes, **options)
        for change, answer in zip(changes, answers, strict=True):
            record = self._jobs.get(change.job_id)
            if change.verb == "complete" and answer.outcome is Outcome.STALE and record is not None:
                spoiled = record.copy()
                spoiled.results = change.results
                self._jobs.renew(spoiled)
        return answers


class RefusesRepetitions(MemoryBackend):
    """A settling call that is repeated, since its answer was lost, is refused."""

    def _move(self, old: JobRecord, new: JobRecord, *args: Any) -> None:
        new.settled = None
        super()._move(old, new, *args)


class LosesThePlace(MemoryBackend):
    """A job that is given back stands behind those that became ready meanwhile."""

    def _apply_one(self, old: JobRecord, change: Transition, now: int) -> JobRecord:
        if change.verb == "release" and change.delay is None:
            change = replace(change, delay=0)
        return super()._apply_one(old, change, now)


class RetriesOnceTooOften(MemoryBackend):
    """A job fails one attempt later than it should."""

    def _apply_one(self, old: JobRecord, change: Transition, now: int) -> JobRecord:
        most = self._with_type(old).effective().retry.max_attempts
        if change.verb == "fail" and change.status == "failed" and old.failures + 1 == most:
            assert change.failure is not None
            change = Transition.retry_later(old.id, change.failure, 0, lease_token=change.lease_token)
        return super()._apply_one(old, change, now)


class RetriesWithoutAFreshStart(MemoryBackend):
    """A job that an operator retries has the failures that it had."""

    def _move(self, old: JobRecord, new: JobRecord, *args: Any) -> None:
        if old.completed_at is not None and new.status == "pending":
            new.failures = old.failures
        super()._move(old, new, *args)


class DeletesTheLive(MemoryBackend):
    """A job may be deleted while it waits."""

    async def delete(self, job_ids: Sequence[str]) -> list[Outcome]:
        for record in [self._jobs.get(job_id) for job_id in job_ids]:
            if record is not None and record.status == "pending":
                self._remove(record)
        return await super().delete(job_ids)


# -- claims and leases ---------------------------------------------------------------------------------------


class RepeatsTokens(MemoryBackend):
    """The token of a job is the same at each of its claims."""

    def _move(self, old: JobRecord, new: JobRecord, *args: Any) -> None:
        if old.status == "pending" and new.status == "processing":
            new.lease_token = f"token-of-{new.id}"
        super()._move(old, new, *args)


class ClaimsInTwoSteps(MemoryBackend):
    """A claim chooses its jobs, and takes them a moment later whatever has become of them."""

    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        now = self.now()
        self._sweep(100, request.retention, now)
        ready = [
            record.id
            for record in self._jobs._records.values()
            if record.status == "pending"
            and record.run_at <= now
            and (request.job_types is None or record.job_type in request.job_types)
        ]
        await asyncio.sleep(0.01)
        claimed = []
        for number, job_id in enumerate(ready[: request.limit]):
            old = self._jobs.get(job_id)
            if old is None:
                continue
            token = f"{request.token}.{number}"
            new, update = start(old, token, request.lease, request.worker_id, self.now())
            self._move(old, new, update, self.now())
            claimed.append(self._with_type(new))
        return Claimed(claimed, self._next_due(request.job_types or self._jobs.types, self.now()))


class ClaimsEarly(MemoryBackend):
    """A claim does not look at ``run_at``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._jobs.ready.__class__ = _Impatient


class _Impatient(Ready):
    def best(self, job_types: list[str], now: int) -> str | None:
        return super().best(job_types, now + 86_400_000)


class DoesNotExtend(MemoryBackend):
    """A heartbeat says that it renewed the lease, and did not."""

    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        return await super().heartbeat([replace(ref, extend=False) for ref in leases])


class NeverTellsOfCancellations(MemoryBackend):
    """A heartbeat says that all is well although the job was cancelled."""

    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        answers = await super().heartbeat(leases)
        return [LeaseAnswer("ok", 1000) if each.status == "cancelled" else each for each in answers]


class IgnoresPriorities(MemoryBackend):
    """A claim takes what has been ready longest."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._jobs.ready.__class__ = _Fair


class _Fair(Ready):
    def best(self, job_types: list[str], now: int) -> str | None:
        for job_type in job_types:
            self._promote(job_type, now)
        heaps = [self._due[job_type] for job_type in job_types if job_type in self._due]
        entries = [entry for heap in heaps for entry in heap._entries if self._is_due(entry)]
        return min(entries, key=lambda entry: entry[1:], default=(None,))[-1]


class ClaimsTypeByType(MemoryBackend):
    """A claim of several types takes the first type's jobs first."""

    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        for job_type in request.job_types or self._jobs.types:
            claimed = await super().claim_pending_jobs(replace(request, job_types=(job_type,)))
            if claimed.records:
                return claimed
        return await super().claim_pending_jobs(request)


class ForgetsPauses(MemoryBackend):
    """A paused job type is claimed from."""

    def _is_paused(self, job_type: str, now: int) -> bool:
        return False


class RenewsByHeartbeatsAlone(MemoryBackend):
    """An update with the lease's token does not renew the lease."""

    def _move(self, old: JobRecord, new: JobRecord, *args: Any) -> None:
        if old.status == new.status == "processing":
            new.lease_expires_at = old.lease_expires_at
        super()._move(old, new, *args)


class LetsProgressFall(MemoryBackend):
    """Progress goes backwards within an attempt."""

    def _apply_one(self, old: JobRecord, change: Transition, now: int) -> JobRecord:
        if change.verb == "update" and change.progress is not None:
            old = replace(old, progress=0.0)
        return super()._apply_one(old, change, now)


class KeepsTheVersion(MemoryBackend):
    """Who waits for another version does not learn of progress."""

    def _move(self, old: JobRecord, new: JobRecord, *args: Any) -> None:
        if old.status == new.status == "processing":
            new.version = old.version
        super()._move(old, new, *args)


# -- rescues -------------------------------------------------------------------------------------------------


class RescuesFromASnapshot(MemoryBackend):
    """The sweep reads which leases ran out, and writes a moment later whatever has become of the jobs."""

    def _sweep(self, limit: int, retention: Retention, now: int) -> Swept:
        return Swept()

    async def sweep(self, limit: int, retention: Retention) -> Swept:
        now = self.now()
        stale = [
            record
            for record in self._jobs._records.values()
            if record.lease_expires_at is not None and record.lease_expires_at <= now
        ]
        await asyncio.sleep(0.1)
        for record in stale:
            current = self._jobs.get(record.id)
            if current is not None:
                new, update = advance(record, rescue(self._with_type(record), retention), self.now())
                self._move(current, new, update, self.now())
        while (late := self._jobs.pop_past_deadline(self.now())) is not None:
            self._apply_one(late, expire(late, retention), self.now())
        return Swept(len(stale), 0)


class RescuesEarly(MemoryBackend):
    """A lease is taken away a fifth of a second before it runs out."""

    def _sweep(self, limit: int, retention: Retention, now: int) -> Swept:
        return super()._sweep(limit, retention, now + 200)


class RescuesForFree(MemoryBackend):
    """A lost lease is not counted."""

    def _apply_one(self, old: JobRecord, change: Transition, now: int) -> JobRecord:
        if change.verb == "rescue":
            change = Transition.release(old.id, lease_token=old.lease_token or "")
        return super()._apply_one(old, change, now)


class ForgetsTheExhausted(MemoryBackend):
    """A job that has lost too many leases vanishes instead of failing."""

    def _apply_one(self, old: JobRecord, change: Transition, now: int) -> JobRecord:
        if change.verb == "rescue" and change.status == "failed":
            self._remove(old)
            return old
        return super()._apply_one(old, change, now)


class NeverRescues(MemoryBackend):
    """What a dead worker left stays where it is: its lease is in no index."""

    def _sweep(self, limit: int, retention: Retention, now: int) -> Swept:
        self._jobs._leases._entries.clear()
        return super()._sweep(limit, retention, now)


class RescuesLate(MemoryBackend):
    """A lease is still good in the millisecond in which it ends."""

    def _sweep(self, limit: int, retention: Retention, now: int) -> Swept:
        return super()._sweep(limit, retention, now - 1)


class NeverExpires(MemoryBackend):
    """A job may start after its ttl, if nobody claims it in time."""

    def _sweep(self, limit: int, retention: Retention, now: int) -> Swept:
        self._jobs._deadlines._entries.clear()
        return super()._sweep(limit, retention, now)


class PrunesEarly(MemoryBackend):
    """A job is removed a second before its retention is over."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._jobs.__class__ = _Hasty


class _Hasty(Jobs):
    def pop_past_retention(self, now: int) -> JobRecord | None:
        return super().pop_past_retention(now + 1000)


# -- attempts ------------------------------------------------------------------------------------------------


class CountsOneFailureLess(MemoryBackend):
    """A claim tells one failure less than there were."""

    by = -1

    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        claimed = await super().claim_pending_jobs(request)
        records = [replace(record, failures=record.failures + self.by) for record in claimed.records]
        return Claimed(records, claimed.next_due)


class CountsOneFailureMore(CountsOneFailureLess):
    """A claim tells one failure more than there were."""

    by = 1


# -- enqueueing ----------------------------------------------------------------------------------------------


class ChecksKeysBeforeStoring(MemoryBackend):
    """An idempotency key is looked up before the job is stored, and bound afterwards."""

    async def store(
        self, jobs: Sequence[NewRecord], *, idempotency: Idempotency | None = None
    ) -> list[Stored]:
        replay = None if idempotency is None else self._replay(idempotency)
        if replay is not None:
            return [replay]
        await asyncio.sleep(0.05)
        stored = await super().store(jobs)
        if idempotency is not None:
            self._idempotency.bind(idempotency, stored[0].record.id, self.now())
        return stored


class ChecksUniqueKeysBeforeStoring(MemoryBackend):
    """A unique key is looked up before the job is stored, and taken afterwards."""

    async def store(self, jobs: Sequence[NewRecord], **options: Any) -> list[Stored]:
        new = jobs[0]
        if len(jobs) > 1 or new.unique_key is None or self._jobs.holder(new.job_type, new.unique_key):
            return await super().store(jobs, **options)
        await asyncio.sleep(1.0)
        stored = await super().store([replace(new, unique_key=None)], **options)
        self._jobs[stored[0].record.id].unique_key = new.unique_key
        return stored


class AcknowledgesBeforeStoring(MemoryBackend):
    """An enqueue is answered before it is stored; one in ten is lost on the way from here to there."""

    async def store(self, jobs: Sequence[NewRecord], **options: Any) -> list[Stored]:
        promised = [Stored(new.to_record(self.now(), 0), created=True) for new in jobs]
        self._storing = asyncio.ensure_future(self._store_later(jobs, options))
        return promised

    async def _store_later(self, jobs: Sequence[NewRecord], options: dict[str, Any]) -> None:
        await asyncio.sleep(0.1)
        if self._ids._rng.random() < 0.9:
            await super().store(jobs, **options)


class ForgetsTheBody(MemoryBackend):
    """An idempotency key is replayed whatever the body is."""

    async def store(
        self, jobs: Sequence[NewRecord], *, idempotency: Idempotency | None = None
    ) -> list[Stored]:
        bound = None if idempotency is None else self._idempotency.find(idempotency, self.now())
        if idempotency is not None and bound is not None:
            idempotency = idempotency.model_copy(update={"fingerprint": bound.fingerprint})
        return await super().store(jobs, idempotency=idempotency)


class KeepsUniqueKeys(MemoryBackend):
    """A cancelled job holds its unique key."""

    def _move(self, old: JobRecord, new: JobRecord, *args: Any) -> None:
        if new.status == "cancelled":
            new.holds_key = old.holds_key
        super()._move(old, new, *args)


class FreesUniqueKeysAtTheStart(MemoryBackend):
    """A unique key is free again as soon as its job starts."""

    def _move(self, old: JobRecord, new: JobRecord, *args: Any) -> None:
        if new.status == "processing":
            new.holds_key = False
        super()._move(old, new, *args)


class StoresHalfABatch(MemoryBackend):
    """What came before the job that is refused stays."""

    def _undo(self, undo: list[tuple[str, JobRecord | None]]) -> None:
        pass


class CountsTheRunning(MemoryBackend):
    """A job type is full although some of its jobs run already."""

    def _check_room(self, new: NewRecord) -> None:
        running = self._jobs.count(new.job_type, "processing")
        if new.max_pending is not None:
            new = replace(new, max_pending=max(0, new.max_pending - running))
        super()._check_room(new)


# -- updates -------------------------------------------------------------------------------------------------


class SkipsAnUpdate(MemoryBackend):
    """Who reads several updates at once misses the first."""

    async def read_updates(self, job_id: str, after: int, limit: int = 512) -> UpdatePage | None:
        page = await super().read_updates(job_id, after, limit)
        return page if page is None else UpdatePage(page.record, page.updates[len(page.updates) > 1 :])


class RepeatsAnUpdate(MemoryBackend):
    """Who reads on gets the update before once more in front of what is new."""

    async def read_updates(self, job_id: str, after: int, limit: int = 512) -> UpdatePage | None:
        page = await super().read_updates(job_id, after, limit)
        if page is None or not page.updates:
            return page
        return await super().read_updates(job_id, max(0, after - 1), limit)


class SaysNothingOfRescues(MemoryBackend):
    """A rescue is in no log."""

    def _move(self, old: JobRecord, new: JobRecord, update: UpdateRecord | None, *args: Any) -> None:
        super()._move(old, new, None if new.losses > old.losses else update, *args)


# -- reading and the rest ------------------------------------------------------------------------------------


class SkipsAtTheEndOfAPage(MemoryBackend):
    """A page of a list begins one job too late."""

    async def list_jobs(self, query: ListQuery) -> RecordPage:
        page = await super().list_jobs(query)
        return page if query.after is None else RecordPage(page.records[1:], page.last)


class MiscountsTheReady(MemoryBackend):
    """A job that is due in this millisecond counts as delayed."""

    def now(self) -> int:
        return super().now() - 1 if self._counting else super().now()

    _counting = False

    async def stats(self) -> dict[str, JobTypeStats]:
        self._counting = True
        try:
            return await super().stats()
        finally:
            self._counting = False


class IgnoresJobTypes(MemoryBackend):
    """The settings of a job type are kept, and heeded nowhere."""

    def _with_type(self, record: JobRecord) -> JobRecord:
        return record


class ForgetsDirectives(MemoryBackend):
    """A worker that was told to be quiet hears nothing of it."""

    async def beat_worker(self, beat: WorkerBeat) -> str:
        await super().beat_worker(beat)
        return "run"
