"""A worker's loops go on whatever they meet, and how each does can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jdobb_async_queue import JobQueue, Worker, facts
from jdobb_async_queue.backends.bells import CANCELLED, type_topic
from jdobb_async_queue.backends.memory import MemoryBackend
from tests.support.outage import FailingBackend
from tests.support.waiting import WITHIN, eventually


class Trapped(FailingBackend):
    """A backend with defects: in ``watch`` of a topic, and in ``sweep``, which may also hang."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self.traps: dict[str, list[Exception]] = {}
        """What the next watches of a topic raise."""
        self.hang = asyncio.Event()
        self.hang.set()
        self.defect: Exception | None = None

    def watch(self, topics: Any) -> Any:
        for topic in topics:
            if self.traps.get(topic):
                raise self.traps[topic].pop()
        return super().watch(topics)

    async def sweep(self, *arguments: Any) -> Any:
        await self.hang.wait()
        if self.defect is not None:
            raise self.defect
        return await self.inner.sweep(*arguments)


async def work(ctx: Any) -> None:
    del ctx


@asynccontextmanager
async def working(backend: Trapped) -> AsyncIterator[tuple[JobQueue, Worker]]:
    """Run a worker on a backend until the block is left."""
    async with JobQueue(backend) as queue:
        worker = Worker(queue, shutdown_grace=0.0)
        worker.register_handler("mail", work)
        running = asyncio.ensure_future(worker.run())
        try:
            await eventually(lambda: worker.loops)
            yield queue, worker
        finally:
            await worker.stop()
            await running


@pytest.mark.parametrize(("topic", "name"), [(type_topic("mail"), "fetcher"), (CANCELLED, "heartbeat")])
async def test_a_loop_that_breaks_outside_its_turn_runs_anew(topic: str, name: str):
    backend, failed = Trapped(), []
    backend.traps[topic] = [RuntimeError("a defect"), RuntimeError("a defect")]
    async with JobQueue(backend) as queue:
        worker = Worker(queue, shutdown_grace=0.0)
        worker.register_handler("mail", work)
        worker.add_listener(lambda fact: failed.append(fact) if isinstance(fact, facts.LoopFailed) else None)
        running = asyncio.ensure_future(worker.run())
        await queue.wait(await queue.enqueue("mail"), WITHIN)
        await eventually(lambda: len(failed) == 2 and not any(loop.failures for loop in worker.loops))
        assert [fact.loop for fact in failed] == [name, name]
        assert worker.is_running
        await worker.stop()
        await running


async def test_loops_are_seen_to_fail_and_to_recover():
    backend = Trapped()
    backend.defect = ValueError("a defect")
    async with working(backend) as (_, worker):
        assert {loop.name for loop in worker.loops} >= {"fetcher", "completer", "heartbeat", "sweeper"}
        await eventually(lambda: [loop.name for loop in worker.loops if loop.failures] == ["sweeper"])
        backend.defect = None
        await eventually(lambda: not any(loop.failures for loop in worker.loops))
    assert worker.loops == []


async def test_a_turn_without_an_end_is_seen():
    backend = Trapped()
    backend.hang.clear()
    async with working(backend) as (_, worker):
        await eventually(
            lambda: [loop.name for loop in worker.loops if loop.turning_for > 0.05] == ["sweeper"]
        )
        backend.hang.set()
        await eventually(lambda: not any(loop.turning_for > 0.05 for loop in worker.loops))
