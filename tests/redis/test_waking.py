"""A marker wakes somebody who can claim: neither who is full, nor nobody."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import JobQueue, Worker
from jdobb_async_queue.backends.bells import ANY_TYPE, type_topic
from jdobb_async_queue.backends.redis import RedisBackend
from jdobb_async_queue.backends.redis.keys import prefix_of
from tests.support.jobs import TYPE, claim_job, get_job, make_job
from tests.support.waiting import WITHIN, eventually


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

        await eventually(is_complete)
        assert len(done) == count
    goes_on.set()
    await full.stop()
    await idle.stop()
    await asyncio.gather(first, second)


async def blocking(server, name):
    """Return the ids of the connections that block, once there are any."""
    found = []

    async def are_there():
        found[:] = await asyncio.to_thread(server.clients, name, "bzpopmin")
        return bool(found)

    await eventually(are_there)
    return [client["id"] for client in found]


@pytest.mark.parametrize("topic", [type_topic(TYPE), ANY_TYPE])
async def test_a_claim_that_leaves_something_ready_wakes_the_next(open_queue, shared, topic):
    first, second = open_queue(shared.url), open_queue(shared.url)
    await second.open()
    for _ in range(3):
        await make_job(first)
    for queue in (first, second):
        with queue.backend.watch([topic]) as bell:
            assert await bell.wait(WITHIN)
        await claim_job(queue)


async def test_a_claim_that_leaves_nothing_ready_wakes_nobody(open_queue, shared, namespace):
    queue = open_queue(shared.url)
    marker = f"{prefix_of(namespace)}wake:{TYPE}"
    await make_job(queue)
    assert shared.command("EXISTS", marker)

    await claim_job(queue)

    assert not shared.command("EXISTS", marker)


async def test_a_marker_that_nobody_waits_for_any_more_goes_on_to_the_next(
    named, open_queue, shared, namespace
):
    await named.open()
    with named.backend.watch([type_topic(TYPE)]):
        await blocking(shared, namespace)
    other = open_queue(shared.url)

    await make_job(other)  # what still blocks gets the marker

    with other.backend.watch([type_topic(TYPE)]) as bell:
        assert await bell.wait(WITHIN)


async def test_watching_the_same_types_again_keeps_the_blocking_connection(named, shared, namespace):
    await named.open()
    topics = [type_topic(TYPE)]

    with named.backend.watch(topics):
        before = await blocking(shared, namespace)
    for _ in range(20):
        with named.backend.watch(topics):
            await asyncio.sleep(0)
    with named.backend.watch(topics) as bell:
        await make_job(named)
        assert await bell.wait(WITHIN)

        assert await blocking(shared, namespace) == before
        assert len(before) == 1


async def test_who_waits_is_woken_also_while_others_of_its_process_claim_all_the_time(
    named, open_queue, shared
):
    other = open_queue(shared.url)
    await named.open()
    with named.backend._waker.claiming(), named.backend.watch([type_topic(TYPE)]) as bell:
        await make_job(other)
        assert await bell.wait(WITHIN)


async def test_types_that_are_always_ready_do_not_keep_others_from_waking(named, shared, namespace):
    markers = {name: f"{prefix_of(namespace)}wake:{name}" for name in ("a", "b", "c")}
    await named.open()
    with (
        named.backend.watch([type_topic("a")]) as busy,
        named.backend.watch([type_topic("b")]) as busy_too,
        named.backend.watch([type_topic("c")]) as bell,
    ):
        for marker in markers.values():
            await asyncio.to_thread(shared.command, "ZADD", marker, 0, "1")
        for _ in range(2):
            await busy.wait(WITHIN)
            busy.clear()
            await busy_too.wait(WITHIN)
            busy_too.clear()
            for name in ("a", "b"):
                await asyncio.to_thread(shared.command, "ZADD", markers[name], 0, "1")
        assert await bell.wait(WITHIN)
    in_turn = named.backend._waker._in_turn(markers.values())
    assert in_turn[0] == markers["c"]


@pytest.fixture
async def two_idle(open_queue, server, monkeypatch):
    """Start two workers that do not look by themselves; the first also runs ``other``, and is woken first."""
    monkeypatch.setattr(RedisBackend, "idle_interval", 3600.0)
    workers, running = [], []
    goes_on = asyncio.Event()
    for number in (1, 2):
        worker = Worker(open_queue(server.url), max_concurrent=1, poll_interval=3600)

        @worker.handler(TYPE)
        async def email(ctx):
            pass

        if number == 1:

            @worker.handler("other")
            async def occupy(ctx):
                await goes_on.wait()

        workers.append(worker)
        running.append(asyncio.ensure_future(worker.run()))

        async def waits(number=number):
            return server.figure("blocked_clients") == str(number)

        await eventually(waits)
    yield workers
    goes_on.set()
    for worker in workers:
        await worker.stop()
    await asyncio.gather(*running)


async def becomes_complete(queue, job):
    async def is_complete():
        return (await get_job(queue, job.id)).status == "complete"

    await eventually(is_complete)


async def test_who_has_no_slot_left_passes_on_what_will_be_due(two_idle, open_queue, server):
    queue = open_queue(server.url)
    job = await make_job(queue, delay=1)
    await make_job(queue, "other")

    await becomes_complete(queue, job)


async def test_who_stops_passes_on_what_will_be_due(two_idle, open_queue, server):
    queue = open_queue(server.url)
    job = await make_job(queue, delay=1)
    await two_idle[0].stop()

    await becomes_complete(queue, job)


async def test_an_idle_worker_finds_short_leases_that_were_taken_and_lost_while_it_rested(
    open_queue, server, monkeypatch
):
    monkeypatch.setattr(RedisBackend, "idle_interval", 3600.0)
    queue = JobQueue(RedisBackend(server.url), lease=1)
    worker = Worker(queue)

    @worker.handler(TYPE)
    async def email(ctx):
        pass

    running = asyncio.ensure_future(worker.run())

    async def rests():
        return worker._crew is not None and len(worker._crew._shift.pulse._resting) >= 3

    await eventually(rests)
    job = await make_job(queue, "foreign")
    assert await queue.claim(["foreign"]) is not None

    async def is_back():
        return (await get_job(queue, job.id)).losses == 1

    await eventually(is_back)
    await worker.stop()
    await running
    await queue.close()
