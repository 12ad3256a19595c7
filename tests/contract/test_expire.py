"""ttl: a job that has not started its first attempt in time is never run."""

from __future__ import annotations

from jdobb_async_queue import JobPriority, JobStatus, RetryPolicy
from tests.support.jobs import (
    claim_job,
    claim_order,
    get_job,
    log_of,
    make_in_state,
    make_job,
    start_job,
    sweep,
)


async def test_a_job_past_its_ttl_fails_as_expired(queue, clock):
    job = await make_job(queue, ttl=10)
    clock.advance(10)

    assert (await sweep(queue)).expired == 1

    expired = await get_job(queue, job.id)
    assert expired.status is JobStatus.FAILED
    assert expired.error.startswith("expired: ")
    assert expired.completed_at == clock.time
    assert (expired.attempt, expired.failures, expired.losses) == (0, 0, 0)


async def test_until_its_ttl_a_job_may_start(queue, clock):
    job = await make_job(queue, ttl=10)
    clock.advance(9.999)

    assert (await sweep(queue)).expired == 0
    assert (await claim_job(queue)).id == job.id


async def test_a_claim_expires_due_jobs_before_it_chooses(queue, clock):
    old = await make_job(queue, ttl=10, priority=JobPriority.HIGH)
    fresh = await make_job(queue, ttl=100)
    clock.advance(10)

    assert (await claim_job(queue)).id == fresh.id
    assert (await get_job(queue, old.id)).status is JobStatus.FAILED


async def test_a_claim_of_another_type_expires_too(queue, clock):
    old = await make_job(queue, "email", ttl=10)
    clock.advance(10)

    assert await queue.claim(["report"]) is None

    assert (await get_job(queue, old.id)).status is JobStatus.FAILED


async def test_watchers_get_the_expiry(queue, clock):
    job = await make_job(queue, ttl=10)
    clock.advance(10)
    await sweep(queue)

    (update,) = await log_of(queue, job.id)
    assert (update.status, update.kind) == (JobStatus.FAILED, "status")
    assert update.error.startswith("expired: ")
    assert update.is_terminal


async def test_the_ttl_of_a_delayed_job_counts_from_its_time(queue, clock):
    job = await make_job(queue, delay=100, ttl=10)

    clock.advance(109.999)
    assert (await sweep(queue)).expired == 0
    clock.advance(0.001)
    assert (await sweep(queue)).expired == 1
    assert (await get_job(queue, job.id)).status is JobStatus.FAILED


async def test_a_delayed_job_within_its_ttl_runs(queue, clock):
    job = await make_job(queue, delay=100, ttl=10)
    clock.advance(105)

    assert (await claim_job(queue)).id == job.id


async def test_a_started_job_does_not_expire(queue, clock):
    job = await start_job(queue, ttl=10, lease=1000)
    clock.advance(20)

    assert (await sweep(queue)).total == 0
    assert await queue.complete(job.id, lease_token=job.lease_token)


async def test_a_later_attempt_does_not_expire(queue, clock):
    failed = await start_job(queue, "a", ttl=10, retry=RetryPolicy(max_attempts=2, base=60, jitter=0))
    released = await start_job(queue, "b", ttl=10)
    lost = await start_job(queue, "c", ttl=10, lease=1)
    await queue.fail(failed.id, "boom", lease_token=failed.lease_token)
    await queue.release(released.id, lease_token=released.lease_token)
    clock.advance(60)

    assert (await sweep(queue)).expired == 0
    assert sorted(await claim_order(queue)) == sorted([failed.id, released.id, lost.id])


async def test_a_job_without_a_ttl_waits_for_ever(queue, clock):
    job = await make_job(queue)
    clock.advance(86_400 * 365)

    assert (await sweep(queue)).expired == 0
    assert (await claim_job(queue)).id == job.id


async def test_an_expired_job_is_not_expired_twice(queue, clock):
    job = await make_job(queue, ttl=10)
    clock.advance(10)
    await sweep(queue)
    before = await queue.get(job.id)
    clock.advance(10)

    assert (await sweep(queue)).expired == 0
    assert await queue.get(job.id) == before


async def test_a_cancelled_job_does_not_expire(queue, clock):
    job = await make_in_state(queue, "pending", ttl=10)
    await queue.cancel(job.id, "not needed")
    clock.advance(10)

    assert (await sweep(queue)).expired == 0
    assert (await get_job(queue, job.id)).error == "not needed"


async def test_a_claim_meets_more_expired_jobs_than_one_sweep_takes(queue, clock):
    for _ in range(150):
        await queue.enqueue("email", ttl=1, priority=JobPriority.HIGH)
    fresh = await queue.enqueue("email")
    clock.advance(1)

    assert (await claim_job(queue)).id == fresh
    assert await queue.claim() is None


async def test_an_expired_job_may_be_retried(queue, clock):
    job = await make_job(queue, ttl=10)
    clock.advance(10)
    await sweep(queue)

    assert await queue.retry(job.id)

    assert (await claim_job(queue)).id == job.id
