"""Claims as many jobs as there are free slots, whenever there may be some."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.backends.base import ClaimRequest
from jdobb_async_queue.backends.bells import type_topic
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.worker.loop import REST, Loop
from jdobb_async_queue.worker.shift import Execution

if TYPE_CHECKING:
    from jdobb_async_queue.records import JobRecord
    from jdobb_async_queue.worker.executor import Executor
    from jdobb_async_queue.worker.heartbeat import Heartbeat
    from jdobb_async_queue.worker.shift import Shift

_SOONEST = 0.002
"""Seconds between two looks when something is due that the last claim did not get."""
_MANY = 8


class Fetcher(Loop):
    """Wakes for an enqueue, a due time or a freed slot; ``burst`` ends it when nothing is ready or runs."""

    name: ClassVar[str] = "fetcher"

    def __init__(
        self, shift: Shift, executor: Executor, heartbeat: Heartbeat, *, burst: bool = False
    ) -> None:
        super().__init__(shift)
        self._executor, self._heartbeat = executor, heartbeat
        self._burst = burst
        self._starved = False
        shift.slots.on_free(self._on_free)

    async def run(self) -> None:
        """Poll until stopped, watching the job types that could be claimed at the time."""
        backend = self.shift.backend
        while not self.stopped:
            types = self._wanted()
            with backend.watch([type_topic(job_type) for job_type in types]) as self.bell:
                await self._run_watching(types)

    async def _run_watching(self, types: tuple[str, ...]) -> None:
        first = True
        while not self.stopped and (first or types == self._wanted()):
            await self.turn()
            first = False

    def _wanted(self) -> tuple[str, ...]:
        """Return the job types to wait for; none while nothing can be claimed, so that others are woken."""
        shift = self.shift
        return shift.claimable() if shift.slots.free > 0 and not shift.quiet else ()

    async def poll(self) -> float | None:
        """Claim into the free slots; return when to look again."""
        shift = self.shift
        types, limit = shift.claimable(), self._limit()
        self._starved = limit <= 0
        if shift.quiet or self._starved or not types:
            return self._until(None) if self._burst else None
        await shift.publish()
        await self._heartbeat.keep()
        asked_at, emptied = shift.clock.monotonic(), shift.backend.emptied
        claimed = await shift.backend.claim_pending_jobs(self._request(types, limit))
        if self.stopped or emptied != shift.backend.emptied:  # without settings none of them may start
            await self._give_back(claimed.records)
            return None if self.stopped else 0.0
        for record in claimed.records:
            self._start(record, asked_at)
        if len(claimed.records) == limit:
            self._starved = True
            return 0.0
        return self._until(claimed.next_due)

    def _limit(self) -> int:
        """Return how many jobs to claim: of many slots half, if the store takes two batches at a time.

        It then works on one half while the handlers of the other run.
        """
        slots = self.shift.slots
        is_halved = self.shift.backend.flights > 1 and slots.size >= _MANY
        return min(slots.free, (slots.size + 1) // 2 if is_halved else slots.size)

    def _until(self, due: int | None) -> float:
        shift = self.shift
        if self._burst:
            if not len(shift.slots):
                self.stop()
            self._starved = True
            return shift.poll_interval
        rest = max(shift.poll_interval, shift.pulse.interval)
        soon = math.inf if due is None else max(_SOONEST, (due - shift.backend.now()) / 1000)
        if soon >= rest:
            return REST if rest == shift.pulse.interval else rest
        return soon

    def _request(self, types: tuple[str, ...], limit: int) -> ClaimRequest:
        options = self.shift.options
        token = options.ids.lease_token()
        return ClaimRequest(types, limit, token, options.lease, self.shift.worker_id, options.retention)

    def _start(self, record: JobRecord, asked_at: float) -> None:
        lease = record.lease / 1000
        expires_at = record.lease_expires_at or 0
        self._executor.start(Execution(record, record.lease_token or "", lease, asked_at + lease, expires_at))

    async def _give_back(self, records: list[JobRecord]) -> None:
        if records:
            self.shift.released += len(records)
            await self.shift.backend.apply(
                [Transition.release(record.id, lease_token=record.lease_token or "") for record in records],
                records=False,
            )

    def _on_free(self) -> None:
        if self._starved:
            self.bell.ring()
