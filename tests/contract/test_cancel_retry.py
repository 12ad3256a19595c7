"""Cancelling and retrying: what operators do to jobs."""

from __future__ import annotations

import asyncio

import pytest

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


class TestCancel:
    @pytest.mark.parametrize("state", ["pending", "delayed", "processing"])
    async def test_a_live_job_is_cancelled_when_the_call_returns(self, queue, clock, state):
        job = await make_in_state(queue, state)
        clock.advance(1)

        assert await queue.cancel(job.id, reason="not needed")

        cancelled = await get_job(queue, job.id)
        assert (cancelled.status, cancelled.error) == (JobStatus.CANCELLED, "not needed")
        assert cancelled.completed_at == cancelled.updated_at == clock.time

    async def test_a_reason_may_be_left_out(self, queue):
        job = await make_job(queue)

        assert await queue.cancel(job.id)

        assert (await get_job(queue, job.id)).error is None

    async def test_a_cancelled_job_is_not_claimed(self, queue, clock):
        now, later = await make_job(queue), await make_job(queue, delay=5)
        await queue.cancel(now.id)
        await queue.cancel(later.id)
        clock.advance(10)

        assert await queue.claim() is None

    async def test_cancelling_is_the_last_update(self, queue):
        job = await start_job(queue)

        await queue.cancel(job.id, "not needed")

        last = (await log_of(queue, job.id))[-1]
        assert (last.status, last.kind, last.error) == (JobStatus.CANCELLED, "status", "not needed")
        assert last.is_terminal

    async def test_a_second_cancel_is_refused_and_keeps_the_first_reason(self, queue):
        job = await make_job(queue)
        await queue.cancel(job.id, "first")

        assert not await queue.cancel(job.id, "second")

        assert (await get_job(queue, job.id)).error == "first"

    async def test_the_holder_of_a_cancelled_job_learns_it_by_heartbeat(self, queue):
        job = await start_job(queue)
        await queue.cancel(job.id)

        assert [state.status for state in await queue.heartbeat([(job.id, job.lease_token)])] == ["cancelled"]

    async def test_whoever_had_lost_the_lease_before_the_cancel_hears_that_it_is_lost(self, queue, clock):
        stale = await start_job(queue, lease=1)
        clock.advance(1)
        holder = await claim_job(queue)
        await queue.cancel(stale.id)

        answers = await queue.heartbeat(
            [(stale.id, token) for token in (stale.lease_token, "made up", holder.lease_token)]
        )

        assert [answer.status for answer in answers] == ["lost", "lost", "cancelled"]

    async def test_nobody_held_a_job_that_was_cancelled_while_it_waited(self, queue):
        job = await start_job(queue)
        await queue.release(job.id, lease_token=job.lease_token)
        await queue.cancel(job.id)

        assert [state.status for state in await queue.heartbeat([(job.id, job.lease_token)])] == ["lost"]

    async def test_an_expired_lease_of_a_cancelled_job_is_not_rescued(self, queue, clock):
        job = await start_job(queue, lease=1)
        await queue.cancel(job.id)
        clock.advance(10)

        assert (await sweep(queue)).total == 0
        assert (await get_job(queue, job.id)).status is JobStatus.CANCELLED

    async def test_of_cancel_and_complete_at_once_exactly_one_wins(self, queue):
        for _ in range(10):
            job = await start_job(queue)

            cancelled, completed = await asyncio.gather(
                queue.cancel(job.id), queue.complete(job.id, {"n": 1}, lease_token=job.lease_token)
            )

            assert cancelled is not completed
            after = await get_job(queue, job.id)
            assert after.status is (JobStatus.CANCELLED if cancelled else JobStatus.COMPLETE)
            assert (after.results is None) is cancelled

    async def test_the_progress_and_attempt_of_a_cancelled_job_stay(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.4, "page 4")

        await queue.cancel(job.id)

        cancelled = await get_job(queue, job.id)
        assert (cancelled.progress, cancelled.message, cancelled.attempt) == (0.4, "page 4", 1)


class TestRetry:
    async def test_a_failed_job_is_ready_now_as_if_it_had_never_run(self, queue, clock):
        job = await start_job(queue)
        await queue.update(job.id, 0.4, "page 4")
        await queue.fail(job.id, "boom", lease_token=job.lease_token)
        clock.advance(60)

        assert await queue.retry(job.id)

        ready = await get_job(queue, job.id)
        assert (ready.status, ready.run_at, ready.completed_at) == (JobStatus.PENDING, clock.time, None)
        assert (ready.failures, ready.losses) == (0, 0)
        assert (ready.progress, ready.message, ready.results, ready.error) == (0.0, None, None, None)

    async def test_a_retry_keeps_the_attempts_and_the_errors(self, queue):
        job = await make_in_state(queue, "failed")

        await queue.retry(job.id)

        assert [error.message for error in (await get_job(queue, job.id)).errors] == ["boom"]
        again = await claim_job(queue)
        assert again.attempt == 2

    async def test_a_retried_job_has_all_its_failures_again(self, queue):
        job = await start_job(queue, retry=RetryPolicy(max_attempts=2, base=0))
        for _ in range(2):
            await queue.fail(job.id, "boom")
        await queue.retry(job.id)

        await queue.fail(job.id, "boom")

        assert (await get_job(queue, job.id)).status is JobStatus.PENDING
        await queue.fail(job.id, "boom")
        assert (await get_job(queue, job.id)).status is JobStatus.FAILED

    async def test_a_cancelled_job_may_be_retried(self, queue):
        job = await make_in_state(queue, "cancelled")

        assert await queue.retry(job.id)

        assert (await claim_job(queue)).id == job.id

    async def test_a_complete_job_is_not_retried(self, queue):
        job = await make_in_state(queue, "complete")

        assert not await queue.retry(job.id)

        assert (await get_job(queue, job.id)).status is JobStatus.COMPLETE

    async def test_a_retry_is_an_update(self, queue):
        job = await make_in_state(queue, "failed")

        await queue.retry(job.id)

        last = (await log_of(queue, job.id))[-1]
        assert (last.status, last.kind, last.progress, last.error) == (JobStatus.PENDING, "status", 0.0, None)

    async def test_the_token_of_the_failed_attempt_is_stale_after_a_retry(self, queue):
        job = await make_in_state(queue, "failed")
        await queue.retry(job.id)
        await claim_job(queue)

        assert not await queue.complete(job.id, lease_token=job.lease_token)

    async def test_a_retried_job_keeps_its_priority_and_queues_behind_what_was_ready(self, queue, clock):
        job = await make_in_state(queue, "failed", priority=JobPriority.HIGH)
        clock.advance(1)
        normal = await queue.enqueue("email")
        high = await queue.enqueue("email", priority=JobPriority.HIGH)
        clock.advance(1)

        await queue.retry(job.id)

        assert await claim_order(queue) == [high, job.id, normal]

    async def test_a_retry_restarts_the_ttl(self, queue, clock):
        job = await make_in_state(queue, "failed", ttl=10)
        clock.advance(100)
        await queue.retry(job.id)

        clock.advance(9.999)
        assert (await sweep(queue)).expired == 0
        clock.advance(0.001)
        assert (await sweep(queue)).expired == 1
        assert (await get_job(queue, job.id)).error.startswith("expired:")

    async def test_one_of_two_retries_at_once_is_made(self, queue):
        job = await make_in_state(queue, "failed")

        answers = await asyncio.gather(*(queue.retry(job.id) for _ in range(4)))

        assert sorted(answers) == [False, False, False, True]
        assert await claim_order(queue) == [job.id]
