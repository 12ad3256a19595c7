"""Memory backends that are wrong in one way each, which the simulation must find."""

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
    Stored,
    Swept,
    UpdatePage,
)
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.backends.memory.indexes import Ready
from jdobb_async_queue.lifecycle import expire, rescue
from jdobb_async_queue.models import TERMINAL, Idempotency
from jdobb_async_queue.records import JobRecord, NewRecord, Retention
from jdobb_async_queue.transitions import LIVE, RETRYABLE, Transition, advance, start

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
        await asyncio.sleep(1.0)
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
