"""Wake-ups inside a process: hints that something may have changed, never facts.

A watcher clears its bell, then reads, then waits; so a change between the reading and the waiting
still wakes it.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ANY_TYPE = "type:*"
ANY_JOB = "job:*"
"""Rung for every job; its bell tells by `topics` which ones."""
CANCELLED = "cancelled"
_MOST_TOPICS = 10_000


def type_topic(job_type: str) -> str:
    """Return the topic rung when a job of this type may have become ready."""
    return f"type:{job_type}"


def job_topic(job_id: str) -> str:
    """Return the topic rung when an update of this job was published."""
    return f"job:{job_id}"


class Bell:
    """One watcher's bell; at most one coroutine waits on it at a time."""

    __slots__ = ("_rung", "_topics", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._topics: set[str] | None = set()
        self._waiter: asyncio.Future[None] | None = None

    def ring(self, topic: str | None = None) -> None:
        """Wake the watcher, now or at its next wait; without a topic, anything may have changed."""
        self._rung = True
        if topic is None:
            self._topics = None
        elif self._topics is not None:
            self._topics.add(topic)
            if len(self._topics) > _MOST_TOPICS:
                self._topics = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def nudge(self) -> None:
        """End the watcher's present wait, if it waits, without a ring."""
        if self._waiter is not None:
            _end(self._waiter)

    def clear(self) -> None:
        """Forget earlier rings: what follows is read afresh."""
        self._rung = False
        if self._topics is None or self._topics:
            self._topics = set()

    @property
    def topics(self) -> set[str] | None:
        """Return what rang since the bell was cleared; None when anything may have changed."""
        return self._topics

    @property
    def rung(self) -> bool:
        """Tell whether the bell rang since it was cleared."""
        return self._rung

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the bell rings or ``timeout`` seconds passed; tell whether it rang."""
        if self._rung:
            return True
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = None if timeout is None else loop.call_later(max(0.0, timeout), _end, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        return self._rung


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Bells:
    """The bells of one process, by topic; they ring in the order in which they were hung."""

    def __init__(self) -> None:
        self._bells: dict[str, dict[Bell, None]] = {}

    @contextmanager
    def watch(self, topics: Iterable[str]) -> Iterator[Bell]:
        """Yield a bell that rings for any of ``topics`` until the block is left."""
        bell = Bell()
        names = tuple(topics)
        for name in names:
            self._bells.setdefault(name, {})[bell] = None
        try:
            yield bell
        finally:
            for name in names:
                bells = self._bells.get(name)
                if bells is not None:
                    bells.pop(bell, None)
                    if not bells:
                        del self._bells[name]

    def ring(self, topic: str) -> None:
        """Ring every bell of ``topic``."""
        for bell in self._bells.get(topic, ()):
            bell.ring(topic)

    def ring_type(self, job_type: str) -> None:
        """Ring for a job type that may have a ready job."""
        if self._bells:
            self.ring(type_topic(job_type))
            self.ring(ANY_TYPE)

    def ring_job(self, job_id: str) -> None:
        """Ring for a job that has a new update."""
        if self._bells:
            topic = job_topic(job_id)
            self.ring(topic)
            for bell in self._bells.get(ANY_JOB, ()):
                bell.ring(topic)

    def ring_cancelled(self) -> None:
        """Ring for whoever runs jobs: one of them may have been cancelled."""
        self.ring(CANCELLED)

    def ring_types(self) -> None:
        """Ring for every job type: somebody elsewhere made something ready."""
        self._ring_prefix("type:")

    def ring_all(self) -> None:
        """Ring everything: the watchers look for themselves."""
        self._ring_prefix("")

    def watched_jobs(self) -> bool:
        """Tell whether anybody watches a job or waits for cancellations."""
        return any(not topic.startswith("type:") for topic in self._bells)

    def _ring_prefix(self, prefix: str) -> None:
        for topic, bells in self._bells.items():
            if topic.startswith(prefix):
                for bell in bells:
                    bell.ring()
