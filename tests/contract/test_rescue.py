"""Expired leases: rescued by claims and by sweeps, counted, and given up in the end."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import JobPriority, JobStatus, RetryPolicy
from tests.support.jobs import FOR_EVER, claim_job, claim_order, get_job, log_of, make_job, start_job, sweep


async def test_a_lease_that_ran_out_puts_the_job_back(queue, clock):
    job = await start_job(queue, lease=10)
    clock.advance(10)

    assert (await sweep(queue)).rescued == 1

    rescued = await get_job(queue, job.id)
    assert (rescued.status, rescued.losses, rescued.failures) == (JobStatus.PENDING, 1, 0)
    assert (rescued.attempt, rescued.completed_at, rescued.error) == (1, None, None)


async def test_a_lease_is_good_until_its_end(queue, clock):
    await start_job(queue, lease=10)
    clock.advance(9.999)

    assert (await sweep(queue)).total == 0
    assert await queue.claim() is None


async def test_a_lease_runs_out_by_itself_however_long_a_job_may_run_and_other_leases_last(queue, clock):
    await start_job(queue, "report", lease=86_400, timeout=86_400)
    job = await start_job(queue, lease=1, timeout=86_400)
    clock.advance(1)

    assert (await sweep(queue)).rescued == 1
    assert (await get_job(queue, job.id)).status is JobStatus.PENDING


async def test_a_claim_rescues_before_it_chooses(queue, clock):
    lost = await start_job(queue, lease=1)
    clock.advance(1)

    job = await claim_job(queue)

    assert (job.id, job.attempt, job.losses) == (lost.id, 2, 1)


async def test_a_claim_of_another_type_rescues_too(queue, clock):
    lost = await start_job(queue, "email", lease=1)
    clock.advance(1)

    assert await queue.claim(["report"]) is None

    assert (await get_job(queue, lost.id)).status is JobStatus.PENDING


async def test_a_loss_is_written_down_and_announced(queue, clock):
    job = await start_job(queue, lease=1)
    clock.advance(1)
    await sweep(queue)

    (error,) = (await get_job(queue, job.id)).errors
    assert (error.attempt, error.type, error.at) == (1, "LeaseLost", clock.time)
    last = (await log_of(queue, job.id))[-1]
    assert (last.status, last.kind) == (JobStatus.PENDING, "status")


async def test_a_rescued_job_keeps_its_priority_and_place(queue, clock):
    lost = await start_job(queue, lease=1, priority=JobPriority.HIGH)
    clock.advance(0.5)
    high = await queue.enqueue("email", priority=JobPriority.HIGH)
    normal = await queue.enqueue("email")
    clock.advance(0.5)

    assert await claim_order(queue) == [lost.id, high, normal]


@pytest.mark.parametrize("max_lost", [1, 2, 3, 5])
async def test_the_last_allowed_loss_fails_the_job(queue, clock, max_lost):
    job_id = await queue.enqueue("email", max_lost=max_lost)
    for loss in range(1, max_lost + 1):
        await claim_job(queue, lease=1)
        clock.advance(1)
        await sweep(queue)
        assert (await get_job(queue, job_id)).losses == loss

    failed = await get_job(queue, job_id)
    assert (failed.status, failed.error) == (JobStatus.FAILED, f"lease lost {max_lost} times")
    assert (failed.attempt, failed.failures, failed.completed_at) == (max_lost, 0, clock.time)
    assert (await log_of(queue, job_id))[-1].is_terminal


async def test_three_losses_are_the_default(queue, clock):
    job_id = await queue.enqueue("email")
    for _ in range(3):
        await claim_job(queue, lease=1)
        clock.advance(1)

    assert await queue.claim() is None
    assert (await get_job(queue, job_id)).error == "lease lost 3 times"


async def test_losses_use_no_failures(queue, clock):
    job_id = await queue.enqueue("email", retry=RetryPolicy(max_attempts=2, base=0), max_lost=10)
    for _ in range(4):
        await claim_job(queue, lease=1)
        clock.advance(1)
    job = await claim_job(queue)
    await queue.fail(job_id, "boom", lease_token=job.lease_token)

    after = await get_job(queue, job_id)
    assert (after.status, after.losses, after.failures) == (JobStatus.PENDING, 4, 1)


async def test_a_lease_is_a_loss_also_after_heartbeats(queue, clock):
    job = await start_job(queue, lease=10)
    for _ in range(3):
        clock.advance(9)
        await queue.heartbeat([(job.id, job.lease_token)])
    clock.advance(10)

    assert (await sweep(queue)).rescued == 1


async def test_sweeps_at_once_rescue_a_job_once(queue, clock):
    job = await start_job(queue, lease=1)
    clock.advance(1)

    swept = await asyncio.gather(*(sweep(queue) for _ in range(5)))

    assert sum(each.rescued for each in swept) == 1
    assert (await get_job(queue, job.id)).losses == 1


async def test_a_sweep_is_bounded(queue, clock):
    for _ in range(7):
        await start_job(queue, lease=1)
        await queue.enqueue("report", ttl=1)
    clock.advance(1)

    first = await queue.backend.sweep(5, FOR_EVER)
    second = await queue.backend.sweep(5, FOR_EVER)

    assert (first.rescued, first.expired) == (5, 5)
    assert (second.rescued, second.expired) == (2, 2)


async def test_a_settled_or_released_job_leaves_no_lease_behind(queue, clock):
    done, released = await start_job(queue, lease=1), await start_job(queue, lease=1)
    await queue.complete(done.id, lease_token=done.lease_token)
    await queue.release(released.id, lease_token=released.lease_token, delay=100)
    clock.advance(1)

    assert (await sweep(queue)).total == 0
    assert (await get_job(queue, released.id)).losses == 0


async def test_a_job_claimed_anew_runs_on_its_new_lease(queue, clock):
    job = await start_job(queue, lease=10)
    await queue.release(job.id, lease_token=job.lease_token)
    clock.advance(5)
    await claim_job(queue, lease=10)
    clock.advance(9)

    assert (await sweep(queue)).total == 0
    clock.advance(1)
    assert (await sweep(queue)).rescued == 1


async def test_one_claim_meets_many_lost_jobs(queue, clock):
    ids = [await queue.enqueue("email") for _ in range(30)]
    await queue.claim_many(limit=30, lease=1)
    clock.advance(1)

    assert await claim_order(queue) == ids


async def test_a_job_types_max_lost_counts(queue, clock):
    await queue.set_job_type("email", max_lost=1)
    job = await start_job(queue, lease=1)
    clock.advance(1)
    await sweep(queue)

    assert (await get_job(queue, job.id)).error == "lease lost 1 times"


async def test_an_unclaimed_job_has_no_lease_to_lose(queue, clock):
    job = await make_job(queue)
    clock.advance(1_000_000)

    assert (await sweep(queue)).total == 0
    assert (await get_job(queue, job.id)).status is JobStatus.PENDING
