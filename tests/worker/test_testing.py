"""The helpers that users' tests work with."""

from __future__ import annotations

import pytest

from jdobb_async_queue import JobNotFound, JobQueue, JobRouter, RetryPolicy, Snooze
from jdobb_async_queue.testing import ManualClock, MemoryBackend, assert_enqueued, drain, run_job


@pytest.fixture
def queue(make_queue) -> JobQueue:
    """Return a queue on the manual clock."""
    return make_queue()


@pytest.fixture
def router(queue: JobQueue) -> JobRouter:
    router = JobRouter()

    @router.handler("echo")
    async def echo(ctx) -> dict:
        return {"echo": ctx.data}

    @router.handler("fan-out")
    async def fan_out(ctx) -> None:
        for n in range(ctx.data["n"]):
            await queue.enqueue("echo", {"n": n})

    @router.handler("flaky", retry=RetryPolicy(max_attempts=3, base=10, factor=1, jitter=0))
    async def flaky(ctx) -> dict:
        if ctx.attempt < 3:
            msg = f"attempt {ctx.attempt}"
            raise ValueError(msg)
        return {"attempt": ctx.attempt}

    @router.handler("sleepy")
    async def sleepy(ctx) -> None:
        if ctx.attempt == 1:
            raise Snooze(30)

    return router


class TestDrain:
    async def test_an_empty_queue_is_drained_at_once(self, queue, router):
        assert await drain(queue, router) == 0

    async def test_every_ready_job_runs(self, queue, router):
        ids = [await queue.enqueue("echo", {"n": n}) for n in range(5)]

        assert await drain(queue, router) == 5

        assert [job.results for job in await queue.get_many(ids)] == [{"echo": {"n": n}} for n in range(5)]

    async def test_what_jobs_enqueue_runs_too(self, queue, router):
        await queue.enqueue("fan-out", {"n": 4})

        assert await drain(queue, router) == 5

        assert await queue.counts() == {"echo": {"complete": 4}, "fan-out": {"complete": 1}}

    async def test_delayed_jobs_stay_until_their_time(self, queue, router, clock):
        await queue.enqueue("echo", delay=60)

        assert await drain(queue, router) == 0
        clock.advance(60)
        assert await drain(queue, router) == 1

    async def test_a_job_that_backs_off_runs_when_the_clock_has_moved(self, queue, router, clock):
        job_id = await queue.enqueue("flaky")
        attempts = []
        for _ in range(3):
            attempts.append(await drain(queue, router))
            clock.advance(10)

        assert attempts == [1, 1, 1]
        assert (await queue.get(job_id)).results == {"attempt": 3}

    async def test_a_snoozed_job_waits_for_the_clock(self, queue, router, clock):
        job_id = await queue.enqueue("sleepy")
        await drain(queue, router)
        assert (await queue.get(job_id)).status == "pending"

        clock.advance(30)
        await drain(queue, router)

        assert (await queue.get(job_id)).status == "complete"

    async def test_types_without_a_handler_stay(self, queue, router):
        await queue.enqueue("unheard-of")

        assert await drain(queue, router) == 0

        assert await queue.counts() == {"unheard-of": {"pending": 1}}

    async def test_several_routers_run_together(self, queue, router):
        other = JobRouter()

        @other.handler("other")
        async def run(ctx) -> None:
            pass

        await queue.enqueue("echo")
        await queue.enqueue("other")

        assert await drain(queue, router, other) == 2


class TestRunJob:
    async def test_the_job_runs_and_is_returned_as_it_is_then(self, queue, router):
        job_id = await queue.enqueue("echo", {"n": 1})

        job = await run_job(queue, job_id, router)

        assert (job.id, job.status, job.results) == (job_id, "complete", {"echo": {"n": 1}})

    async def test_a_failed_attempt_is_returned_too(self, queue, router):
        job = await run_job(queue, await queue.enqueue("flaky"), router)

        assert (job.status, job.failures) == ("pending", 1)
        assert [error.message for error in job.errors] == ["attempt 1"]

    async def test_a_job_that_is_not_ready_does_not_run(self, queue, router):
        with pytest.raises(AssertionError, match="pending and did not run"):
            await run_job(queue, await queue.enqueue("echo", delay=60), router)

    async def test_a_job_without_a_handler_does_not_run(self, queue, router):
        with pytest.raises(AssertionError, match="did not run"):
            await run_job(queue, await queue.enqueue("unheard-of"), router)

    async def test_an_unknown_job_is_not_found(self, queue, router):
        with pytest.raises(JobNotFound):
            await run_job(queue, "nobody", router)


class TestAssertEnqueued:
    async def test_the_newest_job_that_fits_is_returned(self, queue):
        await queue.enqueue("mail", {"to": "ada", "n": 1})
        newest = await queue.enqueue("mail", {"to": "ada", "n": 2})
        await queue.enqueue("mail", {"to": "bob"})

        assert (await assert_enqueued(queue, "mail", data={"to": "ada"})).id == newest

    async def test_data_may_be_a_part_also_deep_inside(self, queue):
        await queue.enqueue("mail", {"to": {"name": "ada", "city": "london"}})

        await assert_enqueued(queue, "mail", data={"to": {"name": "ada"}})
        with pytest.raises(AssertionError):
            await assert_enqueued(queue, "mail", data={"to": {"name": "bob"}})

    async def test_any_field_may_be_asked_for(self, queue):
        await queue.enqueue("mail", priority="high", unique_key="k")

        await assert_enqueued(queue, "mail", priority="high", unique_key="k", status="pending")
        with pytest.raises(AssertionError):
            await assert_enqueued(queue, "mail", priority="low")

    async def test_what_is_there_instead_is_listed(self, queue):
        await queue.enqueue("mail", {"to": "bob"})

        with pytest.raises(AssertionError, match=r"there are:\n.*pending \{'to': 'bob'\}"):
            await assert_enqueued(queue, "mail", data={"to": "ada"})

    async def test_nothing_there_is_said_so(self, queue):
        with pytest.raises(AssertionError, match="none"):
            await assert_enqueued(queue, "mail")


class TestManualClock:
    async def test_it_moves_a_queue_of_ones_own(self):
        clock = ManualClock()
        async with JobQueue(MemoryBackend(clock=clock)) as queue:
            job_id = await queue.enqueue("mail", delay=60)
            assert await queue.claim() is None
            clock.advance(60)

            assert (await queue.claim()).id == job_id

    def test_it_stands_still(self):
        clock = ManualClock(start=5)

        assert (clock.now(), clock.monotonic()) == (5000, 0)
        clock.advance(1.5)
        assert (clock.now(), clock.monotonic()) == (6500, 1.5)

    def test_it_does_not_go_back(self):
        with pytest.raises(ValueError, match="seconds"):
            ManualClock().advance(-1)
