"""Progress and log lines of a handler."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import Broadcaster, JobStatus
from tests.support.jobs import get_job, log_of
from tests.support.waiting import WITHIN, eventually


async def test_the_last_progress_is_always_delivered(queue, start):
    async def email(ctx):
        for step in range(1000):
            await ctx.update(step / 1000, f"step {step}")

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)
    reports = [update for update in await log_of(queue, job.id) if update.kind == "progress"]

    assert (reports[-1].progress, reports[-1].message) == (0.999, "step 999")
    assert job.message == "step 999"


async def test_a_tight_loop_publishes_twenty_updates_a_second(make_queue, start, clock):
    queue = make_queue()

    async def email(ctx):
        for interval in range(10):
            for step in range(100):
                await ctx.update((interval * 100 + step) / 1000)
            clock.advance(0.05)
            await eventually(lambda last=(interval * 100 + 99) / 1000: is_published(ctx.id, last))

    async def is_published(job_id, progress):
        return (await get_job(queue, job_id)).progress == progress

    await start(on=queue, email=email, clock=clock)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)
    reports = [update for update in await log_of(queue, job.id) if update.kind == "progress"]

    assert job.status is JobStatus.COMPLETE
    assert 10 <= len(reports) <= 11, "the first comes at once"


async def test_progress_never_goes_backwards_within_an_attempt(queue, start):
    async def email(ctx):
        await ctx.update(0.8)
        await ctx.update(0.3, "still here")

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)
    seen = [update.progress for update in await log_of(queue, job.id)]

    assert seen == sorted(seen)
    assert 0.8 in seen


async def test_progress_starts_anew_in_the_next_attempt(queue, start):
    async def email(ctx):
        if ctx.attempt == 1:
            await ctx.update(0.9, "nearly")
            raise ValueError
        await asyncio.Event().wait()

    await start(email=email)
    job_id = await queue.enqueue("email", max_attempts=2)
    async for update in Broadcaster(queue).subscribe(job_id, after=0):
        if update.attempt == 2:
            break

    assert (update.status, update.progress, update.message) == (JobStatus.PROCESSING, 0.0, None)


async def test_every_log_line_is_kept_in_order_with_the_progress_around_it(queue, start):
    async def email(ctx):
        await ctx.update(0.5, "half")
        for line in ("one", "two", "three"):
            await ctx.log(line)
        await ctx.update(0.6, "more")

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)
    seen = [(update.kind, update.message) for update in await log_of(queue, job.id)][1:-1]

    assert seen == [
        ("progress", "half"), ("log", "one"), ("log", "two"), ("log", "three"), ("progress", "more"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((1.5,), "progress"), ((-0.1,), "progress"), (("half",), "progress"), ((0.5, 7), "message")],
)
async def test_a_report_that_is_no_progress_is_refused_by_name(queue, start, arguments, named):
    async def email(ctx):
        await ctx.update(*arguments)

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert job.status is JobStatus.FAILED
    assert named in job.error
