"""What a worker claims, and when."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import JobQueue, JobStatus, Worker
from jdobb_async_queue.clock import SystemClock
from jdobb_async_queue.instrumentation import facts
from tests.support.jobs import get_job
from tests.support.waiting import WITHIN, eventually
from tests.worker.conftest import told


@pytest.fixture
def unlooked(make_queue, monkeypatch) -> JobQueue:
    """Return a queue whose idle workers do not look by themselves: something has to wake them."""
    queue = make_queue(clock=SystemClock(), lease=3600)
    monkeypatch.setattr(type(queue.backend), "idle_interval", 3600.0)
    return queue


async def test_an_enqueue_wakes_a_waiting_worker_whatever_its_poll_interval(unlooked, start):
    async def email(ctx): ...

    worker = await start(on=unlooked, email=email, poll_interval=3600.0)

    async def started():
        return bool(told(worker, facts.WorkerStarted))

    await eventually(started)
    for _ in range(3):
        assert (await unlooked.wait(await unlooked.enqueue("email"), WITHIN)).status is JobStatus.COMPLETE


async def test_a_delayed_job_starts_when_it_is_due_whatever_the_poll_interval(unlooked, start):
    async def email(ctx): ...

    await start(on=unlooked, email=email, poll_interval=3600.0)
    job = await unlooked.wait(await unlooked.enqueue("email", delay=0.2), WITHIN)

    assert job.started_at >= job.run_at


async def test_never_more_jobs_run_than_there_are_slots(queue, start):
    running, most = 0, 0

    async def email(ctx):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    ids = [await queue.enqueue("email") for _ in range(30)]
    await start(email=email, max_concurrent=4)
    for job_id in ids:
        await queue.wait(job_id, WITHIN)

    assert most == 4


async def test_claims_never_exceed_the_free_slots(queue, start):
    release = asyncio.Event()

    async def email(ctx):
        await release.wait()

    for _ in range(5):
        await queue.enqueue("email")
    await start(email=email, max_concurrent=2)

    async def two_run():
        return (await queue.counts())["email"].get("processing") == 2

    await eventually(two_run)
    await queue.wait(await _other_type_ran(queue, start), WITHIN)
    assert (await queue.counts())["email"] == {"processing": 2, "pending": 3}
    release.set()


async def _other_type_ran(queue, start) -> str:
    async def sms(ctx): ...

    await start(sms=sms)
    return await queue.enqueue("sms")


async def test_a_job_type_without_a_handler_is_not_claimed_and_a_warning_says_so(queue, start, caplog):
    async def email(ctx): ...

    waiting = await queue.enqueue("fax")
    await start(email=email, job_types=["email", "fax"])
    await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (await get_job(queue, waiting)).status is JobStatus.PENDING
    assert any("'fax' has no handler" in record.message for record in caplog.records)


async def test_a_handler_outside_the_named_job_types_gets_no_jobs(queue, start):
    async def email(ctx): ...

    async def sms(ctx): ...

    waiting = await queue.enqueue("sms")
    await start(email=email, sms=sms, job_types=["email"])
    await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (await get_job(queue, waiting)).status is JobStatus.PENDING


async def test_a_paused_job_type_is_left_alone_until_it_is_resumed(queue, start):
    async def email(ctx): ...

    async def sms(ctx): ...

    await queue.pause("email", reason="provider is down")
    waiting = await queue.enqueue("email")
    await start(email=email, sms=sms, poll_interval=3600.0)
    await queue.wait(await queue.enqueue("sms"), WITHIN)
    assert (await get_job(queue, waiting)).status is JobStatus.PENDING
    await queue.resume("email")

    assert (await queue.wait(waiting, WITHIN)).status is JobStatus.COMPLETE


async def test_a_burst_ends_when_nothing_is_ready_or_running(queue):
    async def email(ctx):
        if ctx.data.get("more"):
            await queue.enqueue("email")

    worker = Worker(queue)
    worker.register_handler("email", email)
    await queue.enqueue("email", {"more": True})
    delayed = await queue.enqueue("email", delay=3600)
    await asyncio.wait_for(worker.run(burst=True), WITHIN)

    assert (await queue.counts())["email"] == {"complete": 2, "pending": 1}
    assert (await get_job(queue, delayed)).attempt == 0


async def test_a_thousand_jobs_run_once_each_on_two_workers(queue, start):
    ran: dict[str, int] = {}

    async def email(ctx):
        ran[ctx.id] = ran.get(ctx.id, 0) + 1

    await start(email=email, max_concurrent=20)
    await start(email=email, max_concurrent=20)
    ids = await asyncio.gather(*(queue.enqueue("email") for _ in range(1000)))

    async def all_done():
        return (await queue.counts())["email"].get("complete") == 1000

    await eventually(all_done)
    assert ran == dict.fromkeys(ids, 1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"poll_interval": 0}, "poll_interval"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"max_concurrent": True}, "max_concurrent"),
        ({"shutdown_grace": -1}, "shutdown_grace"),
        ({"job_types": []}, "job_types"),
        ({"job_types": "email"}, "job_types"),
        ({"job_types": ["e mail"]}, "job_types"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(queue, options, named):
    with pytest.raises((ValueError, TypeError), match=named):
        Worker(queue, **options)
