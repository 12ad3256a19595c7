"""Looking at jobs: get, get_many, wait, counts and stats."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import JobNotFound, JobStatus, QueueClosed
from tests.support.jobs import claim_job, get_job, make_in_state, make_job, start_job, sweep
from tests.support.waiting import WITHIN


class TestGet:
    async def test_an_unknown_job_is_none(self, queue):
        assert await queue.get("nobody") is None

    async def test_many_come_in_the_order_of_their_ids(self, queue):
        a, b = await make_job(queue), await make_job(queue)

        assert await queue.get_many([b.id, "nobody", a.id, b.id]) == [b, None, a, b]

    async def test_none_are_no_jobs(self, queue):
        assert await queue.get_many([]) == []

    async def test_many_may_be_very_many(self, queue):
        job = await make_job(queue)

        found = await queue.get_many([f"nobody-{n}" for n in range(3000)] + [job.id])

        assert found == [None] * 3000 + [job]

    async def test_what_was_written_is_read(self, queue):
        for n in range(50):
            job_id = await queue.enqueue("email", {"n": n})
            assert (await get_job(queue, job_id)).data == {"n": n}
            assert await queue.cancel(job_id)
            assert (await get_job(queue, job_id)).status is JobStatus.CANCELLED


class TestWait:
    @pytest.mark.parametrize("state", ["complete", "failed", "cancelled"])
    async def test_a_terminal_job_is_returned_at_once(self, queue, state):
        job = await make_in_state(queue, state)

        assert (await queue.wait(job.id, timeout=0)).status.value == state

    async def test_a_wait_ends_when_the_job_does(self, queue, waits):
        job = await start_job(queue)
        waiting = asyncio.ensure_future(queue.wait(job.id))
        await waits.begun()

        await queue.complete(job.id, {"sent": 1})

        done = await asyncio.wait_for(waiting, WITHIN)
        assert (done.status, done.results, done.lease_token) == (JobStatus.COMPLETE, {"sent": 1}, None)

    async def test_an_expiry_ends_a_wait(self, queue, clock, waits):
        job = await make_job(queue, ttl=1)
        waiting = asyncio.ensure_future(queue.wait(job.id))
        await waits.begun()

        clock.advance(1)
        await sweep(queue)

        assert (await asyncio.wait_for(waiting, WITHIN)).error.startswith("expired")

    async def test_a_wait_goes_on_over_a_retry(self, queue, waits):
        job = await start_job(queue, max_attempts=2)
        waiting = asyncio.ensure_future(queue.wait(job.id))
        await waits.begun()
        await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=0)
        await claim_job(queue)
        await waits.begun(2)

        assert not waiting.done()
        await queue.complete(job.id)
        assert (await asyncio.wait_for(waiting, WITHIN)).attempt == 2

    @pytest.mark.parametrize("timeout", [0, 0.02])
    async def test_a_wait_that_is_too_long_times_out(self, queue, timeout):
        job = await make_job(queue)

        with pytest.raises(TimeoutError, match="pending"):
            await queue.wait(job.id, timeout=timeout)

    async def test_an_unknown_job_is_not_found(self, queue):
        with pytest.raises(JobNotFound):
            await queue.wait("nobody", timeout=5)

    async def test_a_job_removed_while_it_is_waited_for_is_returned_or_not_found(self, queue, waits):
        job = await start_job(queue)
        waiting = asyncio.ensure_future(queue.wait(job.id))
        await waits.begun()
        await queue.cancel(job.id)
        await queue.delete(job.id)

        (outcome,) = await asyncio.wait_for(asyncio.gather(waiting, return_exceptions=True), WITHIN)

        assert isinstance(outcome, JobNotFound) or outcome.status is JobStatus.CANCELLED

    async def test_closing_the_queue_ends_a_wait(self, queue, waits):
        job = await start_job(queue)
        waiting = asyncio.ensure_future(queue.wait(job.id))
        await waits.begun()

        await queue.close()

        with pytest.raises(QueueClosed):
            await asyncio.wait_for(waiting, WITHIN)

    async def test_many_may_wait_for_one_job(self, queue, waits):
        job = await start_job(queue)
        waiting = [asyncio.ensure_future(queue.wait(job.id)) for _ in range(10)]
        await waits.begun(10)

        await queue.complete(job.id)

        done = await asyncio.wait_for(asyncio.gather(*waiting), WITHIN)
        assert {each.status for each in done} == {JobStatus.COMPLETE}

    async def test_a_negative_timeout_is_refused(self, queue):
        job = await make_job(queue)

        with pytest.raises(ValueError, match="timeout"):
            await queue.wait(job.id, timeout=-1)


class TestCounts:
    async def test_an_empty_queue_counts_nothing(self, queue):
        assert await queue.counts() == {}
        assert await queue.stats() == {}

    async def test_jobs_are_counted_by_type_and_status(self, queue):
        await make_in_state(queue, "failed", "report")
        for state in ("complete", "cancelled", "processing", "delayed", "pending"):
            await make_in_state(queue, state)

        assert await queue.counts() == {
            "email": {"pending": 2, "processing": 1, "complete": 1, "cancelled": 1},
            "report": {"failed": 1},
        }

    async def test_counts_follow_each_move(self, queue, clock):
        job_id = await queue.enqueue("email", max_attempts=2)
        assert await queue.counts() == {"email": {"pending": 1}}
        await claim_job(queue, lease=1)
        assert await queue.counts() == {"email": {"processing": 1}}
        clock.advance(1)
        await sweep(queue)
        assert await queue.counts() == {"email": {"pending": 1}}
        await queue.cancel(job_id)
        assert await queue.counts() == {"email": {"cancelled": 1}}
        await queue.retry(job_id)
        assert await queue.counts() == {"email": {"pending": 1}}
        await queue.complete(job_id)
        await queue.delete(job_id)
        assert await queue.counts() == {}


class TestStats:
    async def test_live_jobs_are_told_apart(self, queue, clock):
        await start_job(queue, lease=1000)
        await queue.enqueue("email", delay=100)
        clock.advance(2)
        await queue.enqueue("email")
        clock.advance(3)
        await queue.enqueue("email")
        await make_in_state(queue, "complete", "report")

        (job_type,) = stats = await queue.stats()

        assert job_type == "email"
        found = stats["email"]
        assert (found.ready, found.running, found.delayed, found.oldest_ready_age) == (2, 1, 1, 3)

    async def test_nothing_ready_has_no_age(self, queue):
        await queue.enqueue("email", delay=100)

        stats = (await queue.stats())["email"]

        assert (stats.ready, stats.delayed, stats.oldest_ready_age) == (0, 1, None)

    async def test_a_delayed_job_becomes_ready_by_time_alone(self, queue, clock):
        await queue.enqueue("email", delay=100)
        clock.advance(104)

        stats = (await queue.stats())["email"]

        assert (stats.ready, stats.delayed, stats.oldest_ready_age) == (1, 0, 4)

    async def test_the_oldest_is_not_the_first_in_claim_order(self, queue, clock):
        await queue.enqueue("email", priority="low")
        clock.advance(5)
        await queue.enqueue("email", priority="high")

        assert (await queue.stats())["email"].oldest_ready_age == 5

    async def test_paused_jobs_are_ready_all_the_same(self, queue):
        await queue.enqueue("email")
        await queue.pause("email")

        assert (await queue.stats())["email"].ready == 1

    async def test_looking_does_not_change_the_order(self, queue, clock):
        late = await queue.enqueue("email", delay=5)
        early = await queue.enqueue("email", delay=1)
        clock.advance(10)
        await queue.stats()

        assert [(await claim_job(queue)).id for _ in range(2)] == [early, late]
