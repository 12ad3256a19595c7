"""A worker in a program whose tasks begin inside the call that makes them."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import JobStatus, LeaseLost, RetryLater
from tests.support.eager import FACTORIES
from tests.support.waiting import WITHIN, eventually


@pytest.fixture(params=FACTORIES)
async def eager(request: pytest.FixtureRequest):
    loop = asyncio.get_running_loop()
    loop.set_task_factory(FACTORIES[request.param])
    yield
    loop.set_task_factory(None)


@pytest.fixture
async def begin(eager, start):
    return start


async def test_a_task_begins_at_once(eager):
    begun = []

    async def note() -> None:
        begun.append(asyncio.current_task())

    task = asyncio.get_running_loop().create_task(note())

    assert begun == [task]
    await task


async def test_handlers_that_never_wait_give_their_slots_back(queue, begin):
    async def email(ctx):
        return {"n": ctx.data["n"]}

    await begin(email=email, max_concurrent=1)
    ids = [await queue.enqueue("email", {"n": n}) for n in range(5)]
    jobs = [await queue.wait(job_id, WITHIN) for job_id in ids]

    assert [job.results for job in jobs] == [{"n": n} for n in range(5)]


async def test_handlers_that_fail_at_once_give_their_slots_back(queue, begin):
    async def email(ctx):
        if ctx.attempt == 1:
            raise RetryLater(0)
        raise ValueError("no")

    await begin(email=email, max_concurrent=1)
    ids = [await queue.enqueue("email", max_attempts=2) for _ in range(3)]
    jobs = [await queue.wait(job_id, WITHIN) for job_id in ids]

    assert [(job.status, job.failures) for job in jobs] == [(JobStatus.FAILED, 2)] * 3


async def test_an_attempt_that_lost_its_lease_at_once_gives_its_slot_back(queue, begin):
    async def email(ctx):
        if ctx.data.get("lost"):
            raise LeaseLost("gone")

    await begin(email=email, max_concurrent=1)
    await queue.enqueue("email", {"lost": True}, priority="high")
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert job.status is JobStatus.COMPLETE


async def test_a_handler_may_stop_its_own_worker_at_once(queue, begin):
    async def email(ctx):
        await worker.stop()
        return {"stopped": True}

    worker = await begin(email=email, shutdown_grace=WITHIN)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert job.results == {"stopped": True}


async def test_a_handler_that_waits_is_cancelled_with_its_job(queue, begin):
    began, ended = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await begin(email=email, max_concurrent=1)
    first = await queue.enqueue("email")
    await asyncio.wait_for(began.wait(), WITHIN)
    await queue.cancel(first)
    await asyncio.wait_for(ended.wait(), WITHIN)
    began.clear()
    await queue.enqueue("email")

    await asyncio.wait_for(began.wait(), WITHIN)


async def test_a_worker_stops_and_leaves_no_task_behind(queue, begin):
    before = asyncio.all_tasks()

    async def email(ctx): ...

    worker = await begin(email=email)
    await queue.wait(await queue.enqueue("email"), WITHIN)
    await worker.stop()
    await queue.close()

    async def gone() -> bool:
        return asyncio.all_tasks() <= before

    await eventually(gone)
