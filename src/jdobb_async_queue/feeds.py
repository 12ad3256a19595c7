"""What happens to jobs of some types: read once for all who follow in this process, and handed out in memory.

Bells name the jobs that have news; each is read from where the last reading ended. A follower that takes
nothing keeps a bounded number of updates, which it shares with the others; beyond that it is told of a gap.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.bells import ANY_JOB, job_topic
from jdobb_async_queue.views import news

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractContextManager

    from jdobb_async_queue.backends.base import QueueBackend
    from jdobb_async_queue.backends.bells import Bell
    from jdobb_async_queue.models import JobUpdate

BACKLOG = 1000
"""How many updates wait for a follower before it is told of a gap instead."""
_REMEMBERED = 10_000
_AT_ONCE = 50
_SEQS_PER_MILLI = 1000
_MARGIN = 1000
"""Milliseconds by which clocks may differ."""


class Follower:
    """One who follows: what waits for it, and from which seq on."""

    def __init__(self, job_types: frozenset[str], begun_at: int) -> None:
        self.job_types, self.begun_at = job_types, begun_at
        self.failure: BaseException | None = None
        self._waiting: deque[JobUpdate | None] = deque([None])
        self._came = asyncio.Event()

    def put(self, update: JobUpdate | None) -> None:
        """Hand over an update; None, or one too many, is a gap."""
        if update is None or len(self._waiting) >= BACKLOG:
            self._waiting.clear()
            self._waiting.append(None)
        if update is not None:
            self._waiting.append(update)
        self._came.set()

    def fail(self, failure: BaseException) -> None:
        """Let the follower's iteration end with an error."""
        self.failure = failure
        self._came.set()

    async def next(self) -> JobUpdate | None:
        """Wait for the next update."""
        while not self._waiting:
            if self.failure is not None:
                raise self.failure
            self._came.clear()
            await self._came.wait()
        return self._waiting.popleft()


class Feed:
    """The reader of one process; it reads only while somebody follows."""

    def __init__(self, backend: QueueBackend) -> None:
        self._backend = backend
        self._followers: set[Follower] = set()
        self._seen: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._floor = 0
        self._watch: AbstractContextManager[Bell] | None = None
        self._task: asyncio.Task[None] | None = None

    async def follow(self, job_types: frozenset[str]) -> AsyncGenerator[JobUpdate | None, None]:
        """Yield the updates of jobs of these types from now on, None where some may have been missed."""
        follower = Follower(job_types, (self._backend.now() - _MARGIN) * _SEQS_PER_MILLI)
        if self._task is None:
            self._start(follower.begun_at)
        self._followers.add(follower)
        try:
            while True:
                yield await follower.next()
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._stop()

    def _start(self, floor: int) -> None:
        self._floor = floor
        self._watch = self._backend.watch([ANY_JOB])
        self._task = asyncio.ensure_future(self._run(self._watch.__enter__()))

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._watch is not None:
            self._watch.__exit__(None, None, None)
            self._watch = None
        self._seen.clear()

    async def _run(self, bell: Bell) -> None:
        try:
            while True:
                await bell.wait()
                topics = bell.topics
                bell.clear()
                if topics is None or ANY_JOB in topics:
                    for follower in self._followers:
                        follower.put(None)
                await self._read(sorted(topic for topic in topics or () if topic != ANY_JOB))
        except Exception as error:  # noqa: BLE001 - every follower hears of it
            followers, self._followers = self._followers, set()
            for follower in followers:
                follower.fail(error)
            self._task = None
            self._stop()

    async def _read(self, topics: list[str]) -> None:
        ids = [topic.removeprefix(job_topic("")) for topic in topics]
        for begin in range(0, len(ids), _AT_ONCE):
            await asyncio.gather(*(self._look(job_id) for job_id in ids[begin : begin + _AT_ONCE]))

    async def _look(self, job_id: str) -> None:
        """Read a job from where it was read last, and hand out what is new."""
        job_type, cursor = self._seen.pop(job_id, ("", self._floor))
        while not job_type or self._is_wanted(job_type):
            page = await self._backend.read_updates(job_id, cursor)
            if page is None:
                return
            job_type = page.record.job_type
            coming = news(page, cursor)
            for update in coming:
                cursor = update.seq
                self._hand_out(job_type, update)
            if not coming:
                break
        self._remember(job_id, job_type, cursor)

    def _is_wanted(self, job_type: str) -> bool:
        return any(job_type in follower.job_types for follower in self._followers)

    def _hand_out(self, job_type: str, update: JobUpdate) -> None:
        for follower in self._followers:
            if job_type in follower.job_types and update.seq > follower.begun_at:
                follower.put(update)

    def _remember(self, job_id: str, job_type: str, cursor: int) -> None:
        """Keep where a job was read to; what is forgotten was read before anything that comes."""
        self._seen[job_id] = (job_type, cursor)
        while len(self._seen) > _REMEMBERED:
            _, (_, forgotten) = self._seen.popitem(last=False)
            self._floor = max(self._floor, forgotten)
