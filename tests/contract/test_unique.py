"""Unique keys: one live job of a type holds one, and lets go of it in the step that ends the holding."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jdobb_async_queue import DuplicateJob, JobPriority, JobStatus, NewJob, Outcome, RetryPolicy
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


class TestHolding:
    @pytest.mark.parametrize("state", ["pending", "delayed", "processing"])
    async def test_a_live_job_holds_its_key(self, queue, state):
        held = await make_in_state(queue, state, unique_key="k")

        assert await queue.enqueue("email", {"other": 1}, unique_key="k") == held.id

        assert await queue.get(held.id) is not None
        assert sum((await queue.counts())["email"].values()) == 1

    @pytest.mark.parametrize("state", ["complete", "failed", "cancelled"])
    async def test_a_terminal_job_has_let_go(self, queue, state):
        ended = await make_in_state(queue, state, unique_key="k")

        assert await queue.enqueue("email", unique_key="k") != ended.id

    async def test_an_expired_job_has_let_go(self, queue, clock):
        expired = await make_job(queue, unique_key="k", ttl=1)
        clock.advance(1)
        await sweep(queue)

        assert await queue.enqueue("email", unique_key="k") != expired.id

    async def test_a_job_expired_by_a_claim_has_let_go(self, queue, clock):
        expired = await make_job(queue, unique_key="k", ttl=1)
        clock.advance(1)
        await queue.claim()

        assert await queue.enqueue("email", unique_key="k") != expired.id

    async def test_a_job_that_lost_too_many_leases_has_let_go(self, queue, clock):
        lost = await start_job(queue, unique_key="k", max_lost=1, lease=1)
        clock.advance(1)
        await sweep(queue)

        assert await queue.enqueue("email", unique_key="k") != lost.id

    async def test_a_job_settled_by_hand_before_its_start_has_let_go(self, queue):
        for settle in (queue.complete, queue.cancel):
            done = await make_job(queue, unique_key="k")
            await settle(done.id)
            assert await queue.enqueue("email", unique_key="k", job_id=f"after-{done.id}") != done.id
            await queue.cancel(f"after-{done.id}")

    async def test_the_key_is_held_across_failures_releases_and_losses(self, queue, clock):
        job = await start_job(queue, unique_key="k", retry=RetryPolicy(max_attempts=5, base=0), lease=1)
        await queue.fail(job.id, "boom", lease_token=job.lease_token)
        assert await queue.enqueue("email", unique_key="k") == job.id
        job = await claim_job(queue, lease=1)
        await queue.release(job.id, lease_token=job.lease_token)
        assert await queue.enqueue("email", unique_key="k") == job.id
        await claim_job(queue, lease=1)
        clock.advance(1)
        await sweep(queue)
        assert await queue.enqueue("email", unique_key="k") == job.id

    async def test_keys_of_different_types_are_different(self, queue):
        email = await queue.enqueue("email", unique_key="k")

        assert await queue.enqueue("report", unique_key="k") != email

    async def test_keys_tell_case_and_alphabet_apart(self, queue):
        keys = ["k", "K", "é", "e", "日本", "k-1", "k_1", "a'b", 'a"b', "%", "k%"]

        ids = {await queue.enqueue("email", unique_key=key) for key in keys}

        assert len(ids) == len(keys)

    async def test_jobs_without_a_key_never_meet(self, queue):
        assert len({await queue.enqueue("email") for _ in range(3)}) == 3

    async def test_a_job_shows_its_key_also_when_it_has_let_go(self, queue):
        job = await make_in_state(queue, "complete", unique_key="k")

        assert job.unique_key == "k"

    async def test_only_the_owner_lets_go(self, queue):
        first = await make_in_state(queue, "failed", unique_key="k")
        second = await make_job(queue, unique_key="k")

        await queue.delete(first.id)

        assert await queue.enqueue("email", unique_key="k") == second.id

    async def test_a_job_itself_may_be_enqueued_again_by_its_id_and_key(self, queue):
        await queue.enqueue("email", job_id="a", unique_key="k")

        assert await queue.enqueue("email", job_id="a", unique_key="k") == "a"

    async def test_of_many_at_once_one_is_stored(self, queue):
        ids = await asyncio.gather(*(queue.enqueue("email", {"n": n}, unique_key="k") for n in range(20)))

        assert len(set(ids)) == 1
        assert await queue.counts() == {"email": {"pending": 1}}


class TestUntilStarted:
    async def test_the_key_is_free_at_the_first_start(self, queue):
        running = await start_job(queue, unique_key="k", unique_until="started")

        waiting = await queue.enqueue("email", unique_key="k", unique_until="started")

        assert waiting != running.id
        assert await queue.enqueue("email", unique_key="k") == waiting

    async def test_the_key_is_held_until_then(self, queue):
        waiting = await make_job(queue, unique_key="k", unique_until="started")

        assert await queue.enqueue("email", unique_key="k", unique_until="started") == waiting.id

    async def test_a_second_attempt_does_not_take_the_key_again(self, queue):
        job = await start_job(queue, unique_key="k", unique_until="started", max_attempts=2)
        await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=0)

        assert await queue.enqueue("email", unique_key="k") != job.id

    async def test_a_job_that_runs_again_does_not_free_anothers_key(self, queue):
        first = await start_job(queue, unique_key="k", unique_until="started")
        second = await queue.enqueue("email", unique_key="k", delay=60)
        await queue.release(first.id, lease_token=first.lease_token)
        again = await claim_job(queue)
        assert await queue.enqueue("email", unique_key="k") == second

        await queue.complete(again.id, lease_token=again.lease_token)

        assert await queue.enqueue("email", unique_key="k") == second


class TestReject:
    async def test_a_second_job_is_refused(self, queue):
        held = await make_job(queue, unique_key="k")

        with pytest.raises(DuplicateJob) as refused:
            await queue.enqueue("email", {"n": 2}, unique_key="k", on_conflict="reject")

        assert refused.value.job_id == held.id
        assert (refused.value.job_type, refused.value.unique_key) == ("email", "k")
        assert await queue.counts() == {"email": {"pending": 1}}
        assert await queue.get(held.id) == held

    async def test_without_a_conflict_it_is_stored(self, queue):
        await make_in_state(queue, "complete", unique_key="k")

        job_id = await queue.enqueue("email", unique_key="k", on_conflict="reject")

        assert (await get_job(queue, job_id)).status is JobStatus.PENDING


class TestReturn:
    async def test_the_existing_job_stays_as_it_is(self, queue, clock):
        held = await make_job(queue, data={"n": 1}, unique_key="k")
        clock.advance(1)

        submission = await queue.submit(
            NewJob(job_type="email", data={"n": 2}, priority=JobPriority.HIGH, unique_key="k")
        )

        assert (submission.created, submission.replayed, submission.job) == (False, False, held)
        assert await queue.get(held.id) == held


class TestReplace:
    async def test_a_waiting_job_takes_the_new_content(self, queue, clock):
        held = await make_job(
            queue, data={"n": 1}, metadata={"by": "ada"}, priority=JobPriority.LOW, ttl=100, max_attempts=2,
            unique_key="k",
        )  # fmt: skip
        clock.advance(5)

        answered = await queue.enqueue(
            "email", {"n": 2}, JobPriority.HIGH, 50, {"by": "bob"},
            delay=10, timeout=3, unique_key="k", on_conflict="replace",
        )  # fmt: skip

        assert answered == held.id
        replaced = await get_job(queue, held.id)
        assert (replaced.data, replaced.metadata) == ({"n": 2}, {"by": "bob"})
        assert (replaced.priority, replaced.ttl, replaced.timeout) == (JobPriority.HIGH, 50, 3)
        assert replaced.max_attempts == 1
        assert replaced.run_at == clock.time + timedelta(seconds=10)
        assert (replaced.created_at, replaced.updated_at) == (held.created_at, clock.time)
        assert replaced.version > held.version

    async def test_the_answer_tells_that_nothing_was_created(self, queue):
        held = await make_job(queue, unique_key="k")

        submission = await queue.submit(
            NewJob(job_type="email", data={"n": 2}, unique_key="k", on_conflict="replace")
        )

        assert (submission.created, submission.job.id, submission.job.data) == (False, held.id, {"n": 2})

    async def test_a_replaced_job_keeps_its_place_among_jobs_of_the_same_instant(self, queue):
        held = await queue.enqueue("email", unique_key="k")
        other = await queue.enqueue("email")

        await queue.enqueue("email", {"n": 2}, unique_key="k", on_conflict="replace")

        assert await claim_order(queue) == [held, other]

    async def test_a_replaced_job_is_ready_at_its_new_time(self, queue, clock):
        held = await make_job(queue, unique_key="k")
        await queue.enqueue("email", delay=10, unique_key="k", on_conflict="replace")

        assert await queue.claim() is None
        clock.advance(10)
        assert await claim_order(queue) == [held.id]

    async def test_a_delayed_job_may_be_replaced_by_one_for_now(self, queue, clock):
        held = await make_job(queue, unique_key="k", delay=20)
        await queue.enqueue("email", unique_key="k", on_conflict="replace")

        assert await claim_order(queue) == [held.id]
        clock.advance(20)
        assert await queue.claim() is None

    async def test_a_replaced_jobs_new_priority_counts(self, queue):
        held = await queue.enqueue("email", priority=JobPriority.HIGH, unique_key="k")
        other = await queue.enqueue("email")
        await queue.enqueue("email", priority=JobPriority.LOW, unique_key="k", on_conflict="replace")

        assert await claim_order(queue) == [other, held]

    async def test_the_new_ttl_counts_from_the_replacement(self, queue, clock):
        held = await make_job(queue, ttl=10, unique_key="k")
        clock.advance(9)
        await queue.enqueue("email", ttl=10, unique_key="k", on_conflict="replace")

        clock.advance(9.999)
        assert (await sweep(queue)).expired == 0
        clock.advance(0.001)
        assert (await sweep(queue)).expired == 1
        assert (await get_job(queue, held.id)).status is JobStatus.FAILED

    async def test_a_job_replaced_without_a_ttl_does_not_expire(self, queue, clock):
        held = await make_job(queue, ttl=10, unique_key="k")
        await queue.enqueue("email", unique_key="k", on_conflict="replace")
        clock.advance(1000)

        assert await claim_order(queue) == [held.id]

    async def test_a_running_job_is_answered_as_it_is(self, queue):
        running = await start_job(queue, data={"n": 1}, unique_key="k")
        before = await queue.get(running.id)

        assert await queue.enqueue("email", {"n": 2}, unique_key="k", on_conflict="replace") == running.id

        assert await queue.get(running.id) == before
        assert await queue.complete(running.id, lease_token=running.lease_token)

    async def test_a_replaced_job_still_holds_its_key(self, queue):
        held = await queue.enqueue("email", unique_key="k")
        await queue.enqueue("email", unique_key="k", on_conflict="replace")

        assert await queue.enqueue("email", unique_key="k") == held

    async def test_a_job_that_backs_off_keeps_what_it_has_been_through(self, queue):
        job = await start_job(queue, worker_id="w", max_attempts=5, unique_key="k")
        await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=60)

        await queue.enqueue("email", {"n": 2}, max_attempts=5, unique_key="k", on_conflict="replace")

        replaced = await get_job(queue, job.id)
        assert (replaced.attempt, replaced.failures, len(replaced.errors)) == (1, 1, 1)
        assert (replaced.started_at, replaced.worker_id) == (job.started_at, "w")
        assert (await claim_job(queue)).attempt == 2

    async def test_updates_go_on_where_they_were(self, queue):
        job = await start_job(queue, max_attempts=5, unique_key="k")
        await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=60)
        before = await log_of(queue, job.id)

        await queue.enqueue("email", {"n": 2}, unique_key="k", on_conflict="replace")
        await claim_job(queue)

        after = await log_of(queue, job.id)
        assert after[: len(before)] == before
        assert after[-1].seq > before[-1].seq

    async def test_a_replacement_may_hold_the_key_until_started_only(self, queue):
        held = await queue.enqueue("email", unique_key="k")
        await queue.enqueue("email", unique_key="k", unique_until="started", on_conflict="replace")
        await claim_job(queue)

        assert await queue.enqueue("email", unique_key="k") != held


class TestRetry:
    async def test_a_retry_takes_the_key_again(self, queue):
        job = await make_in_state(queue, "failed", unique_key="k")

        assert await queue.retry(job.id)

        assert await queue.enqueue("email", unique_key="k") == job.id

    async def test_a_retry_takes_the_key_again_until_the_next_start_only(self, queue):
        job = await start_job(queue, unique_key="k", unique_until="started")
        await queue.cancel(job.id)
        await queue.retry(job.id)
        assert await queue.enqueue("email", unique_key="k") == job.id

        await claim_job(queue)

        assert await queue.enqueue("email", unique_key="k") != job.id

    async def test_a_retry_is_refused_while_another_live_job_holds_the_key(self, queue):
        job = await make_in_state(queue, "failed", unique_key="k")
        other = await make_job(queue, unique_key="k")
        before = await queue.get(job.id)

        assert not await queue.retry(job.id)

        outcome, after = await queue.try_retry(job.id)
        assert outcome is Outcome.CONFLICT
        assert after == before == await queue.get(job.id)
        await queue.cancel(other.id)
        assert await queue.retry(job.id)

    async def test_of_two_jobs_with_one_key_one_is_retried(self, queue):
        first = await make_in_state(queue, "failed", unique_key="k")
        second = await make_in_state(queue, "failed", unique_key="k")

        answers = await asyncio.gather(queue.retry(first.id), queue.retry(second.id))

        assert sorted(answers) == [False, True]

    async def test_an_automatic_retry_is_never_refused(self, queue, clock):
        first = await start_job(queue, unique_key="k", unique_until="started", max_attempts=2, lease=1)
        await queue.enqueue("email", unique_key="k", delay=60)
        clock.advance(1)
        assert (await sweep(queue)).rescued == 1

        again = await claim_job(queue)
        assert again.id == first.id
        assert await queue.fail(again.id, "boom", lease_token=again.lease_token, retry_in=0)

        assert (await get_job(queue, first.id)).status is JobStatus.PENDING
