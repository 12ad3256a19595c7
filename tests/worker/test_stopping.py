"""How a worker ends: what runs may finish, the rest is given back."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from jdobb_async_queue import JobStatus, Worker
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.worker import crew
from tests.support.jobs import get_job
from tests.support.waiting import WITHIN, eventually
from tests.worker.conftest import told


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a stop has to store take as long as it does; test_promptness.py looks at the bound."""
    monkeypatch.setattr(crew, "_TO_END", WITHIN)


async def test_stop_is_harmless_before_and_after_a_run(queue):
    worker = Worker(queue)
    await worker.stop()
    running = asyncio.ensure_future(worker.run())

    async def runs():
        return worker.is_running

    await eventually(runs)
    await worker.stop()
    await worker.stop()
    await asyncio.wait_for(running, WITHIN)

    assert not worker.is_running


async def test_a_running_job_may_finish_within_the_grace(queue, start):
    entered, release = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        await release.wait()
        return {"finished": True}

    worker = await start(email=email, shutdown_grace=30.0)
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    stopping = asyncio.ensure_future(worker.stop())
    await asyncio.sleep(0)
    later = await queue.enqueue("email")
    release.set()
    await asyncio.wait_for(stopping, WITHIN)

    assert (await get_job(queue, job_id)).results == {"finished": True}
    assert (await get_job(queue, later)).attempt == 0


async def test_a_job_that_outlasts_the_grace_is_released_without_a_failure(queue, start):
    entered = asyncio.Event()

    async def email(ctx):
        entered.set()
        await asyncio.Event().wait()

    worker = await start(email=email, shutdown_grace=0.05)
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    await asyncio.wait_for(worker.stop(), WITHIN)
    job = await get_job(queue, job_id)

    assert (job.status, job.failures, job.losses) == (JobStatus.PENDING, 0, 0)
    assert (await queue.claim(["email"])).id == job_id


async def test_the_job_of_a_handler_that_ignores_its_cancellation_is_released_all_the_same(
    queue, start, monkeypatch
):
    monkeypatch.setattr(crew, "TO_OBEY", 0.05)
    entered, end = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        while not end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await end.wait()

    worker = await start(email=email)
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    await asyncio.wait_for(worker.stop(), WITHIN)
    end.set()

    assert (await get_job(queue, job_id)).status is JobStatus.PENDING
    assert [fact.job_id for fact in told(worker, facts.HandlerIgnoresCancellation)] == [job_id]


async def test_cancelling_run_cancels_the_handlers_releases_their_jobs_and_re_raises(queue):
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    worker = Worker(queue, shutdown_grace=60.0)
    worker.register_handler("email", email)
    running = asyncio.ensure_future(worker.run())
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, WITHIN)
    job = await get_job(queue, job_id)

    assert cancelled.is_set()
    assert (job.status, job.failures, worker.is_running) == (JobStatus.PENDING, 0, False)


async def test_a_worker_can_run_again_after_it_was_stopped(queue, start):
    async def email(ctx): ...

    worker = await start(email=email)
    await queue.wait(await queue.enqueue("email"), WITHIN)
    await worker.stop()
    again = asyncio.ensure_future(worker.run())

    assert (await queue.wait(await queue.enqueue("email"), WITHIN)).status is JobStatus.COMPLETE
    await worker.stop()
    await again


async def test_a_worker_runs_once_at_a_time(queue, start):
    async def email(ctx): ...

    worker = await start(email=email)

    with pytest.raises(RuntimeError, match="already running"):
        await worker.run()


async def registered(queue):
    async def is_there():
        return bool(await queue.workers())

    await eventually(is_there)
    [info] = await queue.workers()
    return info


async def test_a_worker_is_registered_while_it_runs_and_forgotten_when_it_ends(queue, start):
    async def email(ctx): ...

    worker = await start(email=email, max_concurrent=3)
    info = await registered(queue)
    assert (info.slots, info.job_types, info.directive, info.stale) == (3, ["email"], "run", False)
    await worker.stop()

    assert await queue.workers() == []


async def test_a_quiet_worker_takes_no_new_job_until_it_is_told_to_go_on(queue, start):
    async def email(ctx): ...

    await start(email=email, poll_interval=0.05)
    info = await registered(queue)
    await queue.signal_worker(info.id, "quiet")

    async def is_quiet():
        job_id = await queue.enqueue("email")
        try:
            await queue.wait(job_id, 0.3)
        except TimeoutError:
            return True
        return False

    await eventually(is_quiet)
    await queue.signal_worker(info.id, "run")

    async def all_done():
        return (await queue.counts())["email"].get("pending") is None

    await eventually(all_done)


async def test_a_worker_that_is_told_to_stop_ends(queue, start):
    async def email(ctx): ...

    worker = await start(email=email)
    info = await registered(queue)
    assert await queue.signal_worker(info.id, "stop")

    async def has_ended():
        return not worker.is_running

    await eventually(has_ended)
    assert not await queue.signal_worker(info.id, "run")


async def test_cancelling_everything_at_once_releases_what_runs(queue):
    entered = asyncio.Event()

    async def email(ctx):
        entered.set()
        await asyncio.Event().wait()

    worker = Worker(queue)
    worker.register_handler("email", email)
    before = asyncio.all_tasks()
    running = asyncio.ensure_future(worker.run())
    job_id = await queue.enqueue("email", max_lost=1)
    await asyncio.wait_for(entered.wait(), WITHIN)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, WITHIN)
    job = await get_job(queue, job_id)

    assert (job.status, job.failures, job.losses) == (JobStatus.PENDING, 0, 0)


async def test_a_handler_may_stop_its_own_worker(queue, start):
    async def email(ctx):
        await worker.stop()
        return {"done": True}

    worker = await start(email=email, shutdown_grace=30.0)
    job_id = await queue.enqueue("email")

    async def has_ended():
        return not worker.is_running

    await eventually(has_ended)
    assert (await get_job(queue, job_id)).results == {"done": True}
