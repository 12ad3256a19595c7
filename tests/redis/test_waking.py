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


async def test_watching_the_same_types_again_keeps_the_blocking_connection(named, shared, namespace):
    await named.open()
    topics = [f"type:{TYPE}"]

    async def blocking():
        """Return the connections that block, once there are any."""
        found = []

        async def are_there():
            found[:] = await asyncio.to_thread(shared.clients, namespace, "bzpopmin")
            return bool(found)

        await eventually(are_there)
        return [client["id"] for client in found]

    with named.backend.watch(topics):
        before = await blocking()
    for _ in range(20):
        with named.backend.watch(topics):
            await asyncio.sleep(0)
    with named.backend.watch(topics) as bell:
        await make_job(named)
        assert await bell.wait(10)

        assert await blocking() == before
        assert len(before) == 1
