"""Streams of many jobs: given ones, each from its place, or all of some types from now on.

As in the stream of one job nothing is queued for a reader: its places are, and the update logs are the truth.
A reader of job types that takes nothing is told of a gap instead of what it missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable

from jdobb_async_queue import JobNotFound, JobStatus, JobUpdate
from jdobb_service import event_ids, sse
from jdobb_service.operations import Call
from jdobb_service.schemas.events import FeedGap

_AT_ONCE = 8


class Jobs:
    """Several jobs as one caller watches them; ``seen`` is the seq seen last of each, None for none."""

    def __init__(self, call: Call, seen: dict[str, int | None], visible: frozenset[str]) -> None:
        self._call, self._seen, self._visible = call, seen, visible

    @classmethod
    async def of(cls, call: Call, job_ids: list[str]) -> Jobs:
        """Return the jobs with the places that the request names."""
        given = call.header(b"last-event-id")
        text = call.query.get("last_event_id", "") if given is None else given
        seen = event_ids.decode(job_ids, text) or dict.fromkeys(job_ids)
        visible = frozenset(job_ids)
        if call.caller.limited:
            jobs = await call.queue.get_many(job_ids)
            visible = frozenset(job.id for job in jobs if job is not None and call.caller.sees(job))
        return cls(call, seen, visible)

    async def have_ended(self) -> bool:
        """Tell whether the client has seen the end of every job."""
        if any(seq is None for seq in self._seen.values()):
            return False
        async for job_id, now in self._now(self._seen):
            if now is not None and not (now.status.is_terminal and (self._seen[job_id] or 0) >= now.seq):
                return False
        return True

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield each job's present state where nothing was seen of it, then what follows, then its end."""
        yield sse.greeting()
        going_on = {job_id: seq for job_id, seq in self._seen.items() if seq is not None}
        async for job_id, now in self._now([job_id for job_id, seq in self._seen.items() if seq is None]):
            if now is None:
                yield self._end(job_id, None)
                continue
            yield self._update(now)
            if now.status.is_terminal:
                yield self._end(job_id, now.status)
            else:
                going_on[job_id] = now.seq
        for job_id in going_on.keys() - self._visible:
            yield self._end(job_id, None)
            del going_on[job_id]
        statuses: dict[str, JobStatus] = {}
        async with sse.watching(self._call.state.broadcaster.subscribe_many(going_on)) as updates:
            async for job_id, update in updates:
                if update is None:
                    yield self._end(job_id, statuses.get(job_id))
                    continue
                if update.is_terminal:
                    statuses[job_id] = update.status
                else:
                    statuses.pop(job_id, None)
                yield self._update(update)

    def _update(self, update: JobUpdate) -> bytes:
        self._seen[update.job_id] = update.seq
        return sse.update_event(update, event_ids.encode(self._seen))

    def _end(self, job_id: str, status: JobStatus | None) -> bytes:
        seq = self._seen[job_id] = self._seen[job_id] or 0
        return sse.end_event(job_id, seq, status, event_ids.encode(self._seen))

    async def _now(self, job_ids: Iterable[str]) -> AsyncIterator[tuple[str, JobUpdate | None]]:
        """Yield the present state of jobs, None for one that the caller cannot see."""
        names = list(job_ids)
        for begin in range(0, len(names), _AT_ONCE):
            some = names[begin : begin + _AT_ONCE]
            for item in zip(some, await asyncio.gather(*map(self._snapshot, some)), strict=True):
                yield item

    async def _snapshot(self, job_id: str) -> JobUpdate | None:
        if job_id not in self._visible:
            return None
        try:
            return await self._call.state.broadcaster.snapshot(job_id)
        except JobNotFound:
            return None


async def type_events(call: Call, job_types: list[str]) -> AsyncGenerator[bytes, None]:
    """Yield what is published of these types from now on; ``gap`` first, and where some were missed."""
    yield sse.greeting()
    async with sse.watching(call.state.broadcaster.follow(job_types)) as updates:
        async for update in updates:
            if update is None:
                yield sse.event(FeedGap(job_types=job_types), None, b"event: gap\n")
            else:
                yield sse.update_event(update, None)
