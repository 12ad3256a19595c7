"""A marker wakes somebody who can claim: neither who is full, nor nobody."""

from __future__ import annotations

import asyncio

from jdobb_async_queue import Worker
from tests.support.jobs import TYPE, eventually, get_job, make_job


async def test_a_worker_without_a_free_slot_leaves_the_waking_to_others(open_queue, shared):
    full = Worker(open_queue(shared.url), max_concurrent=1, poll_interval=3600)
    idle_queue = open_queue(shared.url)
    idle = Worker(idle_queue, max_concurrent=1, poll_interval=3600)
    started, goes_on, done = asyncio.Event(), asyncio.Event(), []

    @full.handler(TYPE)
    async def occupy(ctx):
        started.set()
        await goes_on.wait()

    @idle.handler(TYPE)
    async def email(ctx):
        done.append(ctx.id)

    first = asyncio.ensure_future(full.run())
    await make_job(idle_queue)
    await started.wait()
    second = asyncio.ensure_future(idle.run())
    for count in range(1, 6):
        job = await make_job(idle_queue)

        async def is_complete(job=job):
            return (await get_job(idle_queue, job.id)).status == "complete"

        await eventually(is_complete, 10)
        assert len(done) == count
    goes_on.set()
    await full.stop()
    await idle.stop()
    await asyncio.gather(first, second)


async def test_watching_the_same_types_again_keeps_the_blocking_connection(queue, proxy):
    await queue.open()
    topics = [f"type:{TYPE}"]
    with queue.backend.watch(topics):
        waker = queue.backend._waker

        async def is_blocked():
            return waker.blocked_on != frozenset()

        await eventually(is_blocked)
    connections = proxy.accepted
    for _ in range(20):
        with queue.backend.watch(topics):
            await asyncio.sleep(0)
    with queue.backend.watch(topics) as bell:
        await make_job(queue)
        assert await bell.wait(10)

    assert proxy.accepted == connections
