"""Settling: complete, fail and release, with the lease's token and by hand."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jdobb_async_queue import JobPriority, JobStatus, RetryPolicy
from tests.support.jobs import claim_job, claim_order, get_job, log_of, make_in_state, make_job, start_job

STEADY = RetryPolicy(max_attempts=5, base=2, factor=3, cap=100, jitter=0)


class TestComplete:
    async def test_a_completed_job_has_its_results(self, queue, clock):
        job = await start_job(queue)
        clock.advance(3)

        assert await queue.complete(job.id, {"sent": 1}, lease_token=job.lease_token)

        done = await get_job(queue, job.id)
        assert (done.status, done.results, done.progress) == (JobStatus.COMPLETE, {"sent": 1}, 1.0)
        assert done.completed_at == done.updated_at == clock.time
        assert (done.error, done.errors, done.failures) == (None, [], 0)

    async def test_results_may_be_left_out(self, queue):
        job = await start_job(queue)

        assert await queue.complete(job.id, lease_token=job.lease_token)

        assert (await get_job(queue, job.id)).results is None

    async def test_an_empty_result_is_not_none(self, queue):
        job = await start_job(queue)

        await queue.complete(job.id, {}, lease_token=job.lease_token)

        assert (await get_job(queue, job.id)).results == {}

    async def test_completing_by_hand_needs_no_token(self, queue):
        job = await start_job(queue)

        assert await queue.complete(job.id, results={"y": 2})

        assert (await get_job(queue, job.id)).results == {"y": 2}

    async def test_completing_a_pending_job_by_hand_ends_it(self, queue, clock):
        job = await make_job(queue)

        assert await queue.complete(job.id, {"done": "elsewhere"})

        done = await get_job(queue, job.id)
        assert (done.status, done.progress, done.completed_at) == (JobStatus.COMPLETE, 1.0, clock.time)
        assert (done.attempt, done.started_at) == (0, None)
        assert await queue.claim() is None

    async def test_completing_is_the_last_update(self, queue):
        job = await start_job(queue)

        await queue.complete(job.id, {"sent": 1}, lease_token=job.lease_token)

        last = (await log_of(queue, job.id))[-1]
        assert (last.status, last.kind, last.progress) == (JobStatus.COMPLETE, "status", 1.0)
        assert last.results == {"sent": 1}
        assert last.is_terminal

    async def test_a_repeated_completion_changes_nothing_and_is_true(self, queue, clock):
        job = await start_job(queue)
        await queue.complete(job.id, {"sent": 1}, lease_token=job.lease_token)
        before = await queue.get(job.id)
        clock.advance(1)

        assert await queue.complete(job.id, {"sent": 2}, lease_token=job.lease_token)

        assert await queue.get(job.id) == before
        assert len(await log_of(queue, job.id)) == 2

    async def test_one_of_two_completions_at_once_is_made(self, queue):
        job = await start_job(queue)

        answers = await asyncio.gather(*(queue.try_complete(job.id, {"n": n}) for n in range(5)))

        assert sorted(outcome.value for outcome, _ in answers) == ["ok"] + ["terminal"] * 4

    async def test_completing_by_hand_is_not_the_owners_own_call(self, queue):
        job = await start_job(queue)
        await queue.complete(job.id, {"by": "hand"})

        assert not await queue.complete(job.id, {"by": "worker"}, lease_token=job.lease_token)

        assert (await get_job(queue, job.id)).results == {"by": "hand"}


class TestFail:
    async def test_without_a_policy_the_first_failure_is_final(self, queue, clock):
        job = await start_job(queue)
        clock.advance(1)

        assert await queue.fail(
            job.id, "boom", lease_token=job.lease_token, type="ValueError", traceback="line 1"
        )

        failed = await get_job(queue, job.id)
        assert (failed.status, failed.error, failed.failures) == (JobStatus.FAILED, "boom", 1)
        assert failed.completed_at == clock.time
        (error,) = failed.errors
        assert (error.attempt, error.type, error.message, error.traceback, error.at) == (
            1,
            "ValueError",
            "boom",
            "line 1",
            clock.time,
        )

    async def test_with_failures_left_the_job_backs_off(self, queue, clock):
        job = await start_job(queue, retry=STEADY)

        assert await queue.fail(job.id, "boom", lease_token=job.lease_token)

        waiting = await get_job(queue, job.id)
        assert (waiting.status, waiting.failures, waiting.completed_at) == (JobStatus.PENDING, 1, None)
        assert waiting.run_at == clock.time + timedelta(seconds=2)
        assert [error.message for error in waiting.errors] == ["boom"]

    async def test_the_delay_grows_by_the_factor_up_to_the_cap(self, queue, clock):
        job = await start_job(queue, retry=RetryPolicy(max_attempts=6, base=2, factor=3, cap=20, jitter=0))
        delays = []
        for _ in range(5):
            await queue.fail(job.id, "boom", lease_token=job.lease_token)
            due = (await get_job(queue, job.id)).run_at
            delays.append((due - clock.time).total_seconds())
            clock.advance(delays[-1])
            job = await claim_job(queue)

        assert delays == [2, 6, 18, 20, 20]

    async def test_the_last_of_max_attempts_is_final(self, queue):
        outcomes = []
        job_id = await queue.enqueue("email", max_attempts=3)
        for _ in range(3):
            job = await claim_job(queue)
            assert await queue.fail(job_id, "boom", lease_token=job.lease_token, retry_in=0)
            outcomes.append((await get_job(queue, job_id)).status.value)

        assert outcomes == ["pending", "pending", "failed"]
        assert (await get_job(queue, job_id)).failures == 3

    async def test_retry_false_fails_now(self, queue):
        job = await start_job(queue, retry=STEADY)

        await queue.fail(job.id, "bad input", lease_token=job.lease_token, retry=False)

        assert (await get_job(queue, job.id)).status is JobStatus.FAILED

    async def test_retry_in_sets_the_delay(self, queue, clock):
        job = await start_job(queue, retry=STEADY)

        await queue.fail(job.id, "busy", lease_token=job.lease_token, retry_in=7.5)

        assert (await get_job(queue, job.id)).run_at == clock.time + timedelta(seconds=7.5)

    async def test_retry_in_does_not_give_more_attempts(self, queue):
        job = await start_job(queue, max_attempts=1)

        await queue.fail(job.id, "busy", lease_token=job.lease_token, retry_in=1)

        assert (await get_job(queue, job.id)).status is JobStatus.FAILED

    @pytest.mark.parametrize(
        ("type_name", "status"),
        [("ValueError", "failed"), ("billing.Refused", "failed"), ("OSError", "pending")],
    )
    async def test_errors_that_the_policy_gives_up_on_are_final(self, queue, type_name, status):
        policy = RetryPolicy(max_attempts=5, give_up_on=("ValueError", "billing.*"))
        job = await start_job(queue, retry=policy)

        await queue.fail(job.id, "boom", lease_token=job.lease_token, type=type_name)

        assert (await get_job(queue, job.id)).status.value == status

    async def test_a_job_that_backs_off_is_not_claimed_before_its_time(self, queue, clock):
        job = await start_job(queue, retry=STEADY)
        await queue.fail(job.id, "boom", lease_token=job.lease_token)

        clock.advance(1.999)
        assert await queue.claim() is None
        clock.advance(0.001)
        assert (await claim_job(queue)).attempt == 2

    async def test_a_new_attempt_starts_afresh(self, queue, clock):
        job = await start_job(queue, retry=STEADY)
        await queue.update(job.id, 0.8, "nearly", lease_token=job.lease_token)
        await queue.fail(job.id, "boom", lease_token=job.lease_token)
        clock.advance(2)

        again = await claim_job(queue)

        assert (again.progress, again.message, again.error, again.failures) == (0.0, None, None, 1)

    async def test_the_last_twenty_errors_are_kept(self, queue):
        job_id = await queue.enqueue("email", max_attempts=30)
        for n in range(1, 26):
            job = await claim_job(queue)
            await queue.fail(job_id, f"boom {n}", lease_token=job.lease_token, retry_in=0)

        errors = (await get_job(queue, job_id)).errors
        assert [(error.attempt, error.message) for error in errors] == [
            (n, f"boom {n}") for n in range(6, 26)
        ]

    async def test_long_texts_are_cut(self, queue):
        job = await start_job(queue)

        await queue.fail(job.id, "e" * 100_000, lease_token=job.lease_token, traceback="t" * 100_000)

        (error,) = (await get_job(queue, job.id)).errors
        assert len(error.message) == 10_000
        assert len(error.traceback) == 20_000

    async def test_a_failure_by_hand_on_a_pending_job_uses_a_failure(self, queue, clock):
        job = await make_job(queue, retry=STEADY)

        assert await queue.fail(job.id, "the supplier is closed")

        waiting = await get_job(queue, job.id)
        assert (waiting.status, waiting.failures, waiting.attempt) == (JobStatus.PENDING, 1, 0)
        assert waiting.run_at == clock.time + timedelta(seconds=2)

    async def test_a_failure_by_hand_without_failures_left_is_final(self, queue):
        job = await make_job(queue)

        assert await queue.fail(job.id, "the supplier is closed")

        failed = await get_job(queue, job.id)
        assert (failed.status, failed.error) == (JobStatus.FAILED, "the supplier is closed")
        assert await queue.claim() is None

    async def test_failures_by_hand_at_once_are_each_counted(self, queue):
        job = await start_job(queue, max_attempts=10)

        answers = await asyncio.gather(*(queue.fail(job.id, f"boom {n}") for n in range(5)))

        after = await get_job(queue, job.id)
        assert answers == [True] * 5
        assert (after.failures, len(after.errors)) == (5, 5)

    async def test_failures_by_hand_at_once_end_the_job_at_its_last(self, queue):
        job = await start_job(queue, max_attempts=3)

        answers = await asyncio.gather(*(queue.fail(job.id, f"boom {n}") for n in range(6)))

        after = await get_job(queue, job.id)
        assert sorted(answers) == [False] * 3 + [True] * 3
        assert (after.status, after.failures) == (JobStatus.FAILED, 3)

    async def test_a_failed_attempt_is_an_update(self, queue):
        job = await start_job(queue, retry=STEADY)

        await queue.fail(job.id, "boom", lease_token=job.lease_token)

        last = (await log_of(queue, job.id))[-1]
        assert (last.status, last.kind, last.error, last.attempt) == (JobStatus.PENDING, "status", "boom", 1)
        assert not last.is_terminal

    async def test_a_repeated_failure_counts_once_and_is_true(self, queue):
        job = await start_job(queue, retry=STEADY)
        await queue.fail(job.id, "boom", lease_token=job.lease_token)
        before = await queue.get(job.id)

        assert await queue.fail(job.id, "boom", lease_token=job.lease_token)

        assert await queue.get(job.id) == before

    async def test_a_repeated_failure_is_known_also_when_the_next_attempt_runs(self, queue, clock):
        job = await start_job(queue, retry=STEADY)
        await queue.fail(job.id, "boom", lease_token=job.lease_token)
        clock.advance(2)
        again = await claim_job(queue)

        assert await queue.fail(job.id, "boom", lease_token=job.lease_token)

        after = await get_job(queue, job.id)
        assert (after.status, after.failures) == (JobStatus.PROCESSING, 1)
        assert await queue.complete(job.id, lease_token=again.lease_token)

    async def test_a_failure_by_hand_is_not_the_owners_own_call(self, queue):
        job = await start_job(queue, retry=STEADY)
        await queue.fail(job.id, "by hand")

        assert not await queue.fail(job.id, "by its worker", lease_token=job.lease_token)

        assert [error.message for error in (await get_job(queue, job.id)).errors] == ["by hand"]

    async def test_a_failed_job_keeps_its_last_progress(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.4, "page 4", lease_token=job.lease_token)

        await queue.fail(job.id, "boom", lease_token=job.lease_token)

        failed = await get_job(queue, job.id)
        assert (failed.progress, failed.message) == (0.4, "page 4")


class TestRelease:
    async def test_a_released_job_is_pending_at_its_old_place(self, queue, clock):
        first = await start_job(queue)
        clock.advance(1)
        second = await queue.enqueue("email")

        assert await queue.release(first.id, lease_token=first.lease_token)

        released = await get_job(queue, first.id)
        assert (released.status, released.run_at) == (JobStatus.PENDING, first.run_at)
        assert (released.attempt, released.failures, released.losses, released.errors) == (1, 0, 0, [])
        assert await claim_order(queue) == [first.id, second]

    async def test_a_released_job_keeps_its_place_among_jobs_of_the_same_instant(self, queue):
        ids = [await queue.enqueue("email") for _ in range(3)]
        first = await claim_job(queue)

        await queue.release(first.id, lease_token=first.lease_token)

        assert await claim_order(queue) == ids

    async def test_a_released_job_keeps_its_priority(self, queue):
        high = await start_job(queue, priority=JobPriority.HIGH)
        normal = await queue.enqueue("email")

        await queue.release(high.id, lease_token=high.lease_token)

        assert await claim_order(queue) == [high.id, normal]

    async def test_a_release_with_a_delay_snoozes(self, queue, clock):
        job = await start_job(queue, max_attempts=1)

        assert await queue.release(job.id, lease_token=job.lease_token, delay=30)

        snoozed = await get_job(queue, job.id)
        assert snoozed.run_at == clock.time + timedelta(seconds=30)
        clock.advance(29.999)
        assert await queue.claim() is None
        clock.advance(0.001)
        again = await claim_job(queue)
        assert (again.attempt, again.failures) == (2, 0)

    async def test_releasing_uses_no_failure_however_often(self, queue):
        await queue.enqueue("email", max_attempts=1)
        for attempt in range(1, 6):
            job = await claim_job(queue)
            assert job.attempt == attempt
            await queue.release(job.id, lease_token=job.lease_token)

        assert (await get_job(queue, job.id)).failures == 0

    async def test_a_release_is_an_update(self, queue):
        job = await start_job(queue)

        await queue.release(job.id, lease_token=job.lease_token)

        last = (await log_of(queue, job.id))[-1]
        assert (last.status, last.kind, last.error) == (JobStatus.PENDING, "status", None)

    async def test_a_repeated_release_is_true_also_when_somebody_else_runs_the_job(self, queue):
        job = await start_job(queue)
        await queue.release(job.id, lease_token=job.lease_token)
        again = await claim_job(queue)

        assert await queue.release(job.id, lease_token=job.lease_token)

        assert (await get_job(queue, job.id)).status is JobStatus.PROCESSING
        assert await queue.complete(job.id, lease_token=again.lease_token)

    async def test_a_delay_of_nothing_is_ready_now_behind_what_was_ready_before(self, queue, clock):
        first = await start_job(queue)
        clock.advance(1)
        second = await queue.enqueue("email")
        clock.advance(1)

        await queue.release(first.id, lease_token=first.lease_token, delay=0)

        assert await claim_order(queue) == [second, first.id]


class TestFencing:
    @pytest.mark.parametrize("verb", ["update", "complete", "fail", "release"])
    async def test_the_token_of_an_earlier_claim_changes_nothing(self, queue, clock, verb):
        lost = await start_job(queue, lease=1)
        clock.advance(1)
        current = await claim_job(queue)
        before = await queue.get(lost.id)
        arguments = {"update": (0.9,), "complete": ({"late": 1},), "fail": ("late",), "release": ()}[verb]

        assert not await getattr(queue, verb)(lost.id, *arguments, lease_token=lost.lease_token)

        assert await queue.get(lost.id) == before
        assert await queue.complete(lost.id, {"in": "time"}, lease_token=current.lease_token)

    @pytest.mark.parametrize("verb", ["update", "complete", "fail", "release"])
    async def test_the_token_of_a_cancelled_job_changes_nothing(self, queue, verb):
        job = await start_job(queue)
        await queue.cancel(job.id)
        before = await queue.get(job.id)
        arguments = {"update": (0.9,), "complete": ({"late": 1},), "fail": ("late",), "release": ()}[verb]

        assert not await getattr(queue, verb)(job.id, *arguments, lease_token=job.lease_token)

        assert await queue.get(job.id) == before

    async def test_a_token_of_another_job_changes_nothing(self, queue):
        one, other = await start_job(queue), await start_job(queue)

        assert not await queue.complete(one.id, lease_token=other.lease_token)

        assert (await get_job(queue, one.id)).status is JobStatus.PROCESSING
        assert (await get_job(queue, other.id)).status is JobStatus.PROCESSING

    async def test_an_empty_token_is_a_token_and_stale(self, queue):
        job = await start_job(queue)

        assert not await queue.complete(job.id, lease_token="")

    async def test_a_released_token_does_not_settle(self, queue):
        job = await start_job(queue)
        await queue.release(job.id, lease_token=job.lease_token)

        assert not await queue.complete(job.id, lease_token=job.lease_token)

        assert (await get_job(queue, job.id)).status is JobStatus.PENDING

    async def test_a_completion_then_a_failure_with_the_same_token_keeps_the_completion(self, queue):
        job = await make_in_state(queue, "complete")

        assert not await queue.fail(job.id, "late", lease_token=job.lease_token)

        assert (await get_job(queue, job.id)).status is JobStatus.COMPLETE

    async def test_a_lease_that_ran_out_but_was_not_taken_away_still_settles(self, queue, clock):
        job = await start_job(queue, lease=1)
        clock.advance(100)

        assert await queue.complete(job.id, {"late": "but alone"}, lease_token=job.lease_token)
