"""Claiming: which job comes next, and what a claim does to it."""

import asyncio
from datetime import timedelta

import pytest

from jdobb_async_queue import JobPriority, JobStatus, NewJob
from jdobb_async_queue.clock import SystemClock
from tests.support.jobs import claim_job, claim_order, get_job, log_of, make_job, next_due, start_job
from tests.support.waiting import WITHIN, eventually

HIGH, NORMAL, LOW = JobPriority.HIGH, JobPriority.NORMAL, JobPriority.LOW


class TestWhatAClaimDoes:
    async def test_an_empty_queue_has_nothing_to_claim(self, queue):
        assert await queue.claim() is None
        assert await queue.claim(["email"]) is None
        assert await queue.claim_many() == []

    async def test_a_claimed_job_is_processing_its_first_attempt(self, queue, clock):
        job_id = await queue.enqueue("email", data={"to": "ada"})
        clock.advance(2)

        job = await claim_job(queue, worker_id="w1", lease=10)

        assert (job.id, job.status, job.attempt, job.worker_id) == (job_id, JobStatus.PROCESSING, 1, "w1")
        assert job.started_at == job.updated_at == clock.time
        assert job.lease_token
        assert job.lease_expires_at == clock.time + timedelta(seconds=10)
        assert (job.data, job.version) == ({"to": "ada"}, 2)

    async def test_the_queues_lease_is_the_default(self, make_queue, clock):
        queue = make_queue(lease=5)
        await queue.enqueue("email")

        job = await claim_job(queue)

        assert job.lease_expires_at == clock.time + timedelta(seconds=5)

    async def test_nobody_else_reads_the_lease(self, queue):
        job = await start_job(queue)

        _, updated = await queue.try_update(job.id, 0.5, lease_token=job.lease_token)
        seen = [updated, await queue.get(job.id), *(await queue.get_many([job.id]))]
        seen += (await queue.list_jobs()).items

        assert [(one.lease_token, one.lease_expires_at) for one in seen] == [(None, None)] * 4
        assert job.lease_token not in repr(seen)

    async def test_a_claim_is_an_update(self, queue, clock):
        job = await start_job(queue)

        (update,) = await log_of(queue, job.id)

        assert (update.kind, update.status, update.attempt) == ("status", JobStatus.PROCESSING, 1)
        assert update.timestamp == clock.time

    async def test_a_claimed_job_is_not_claimed_again(self, queue):
        await start_job(queue)

        assert await queue.claim() is None

    async def test_every_claim_makes_a_new_token(self, queue):
        tokens = []
        await queue.enqueue("email")
        for _ in range(3):
            job = await claim_job(queue)
            tokens.append(job.lease_token)
            assert await queue.release(job.id, lease_token=job.lease_token)

        assert len(set(tokens)) == 3

    async def test_a_start_clears_the_progress_of_what_came_before(self, queue):
        job = await make_job(queue)
        await queue.update(job.id, 0.7, "waiting for a slot")

        started = await claim_job(queue)

        assert (started.progress, started.message) == (0.0, None)

    async def test_attempts_count_starts(self, queue):
        await queue.enqueue("email", max_attempts=3)
        for attempt in (1, 2, 3):
            job = await claim_job(queue)
            assert job.attempt == attempt
            assert await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=0)

    async def test_the_backends_own_claim_takes_job_types_alone(self, queue):
        job = await make_job(queue)
        await queue.open()

        record = await queue.backend.claim_pending_job(["email"])

        assert record is not None
        assert (record.id, record.status) == (job.id, "processing")
        assert await queue.backend.claim_pending_job(["email"]) is None


class TestOrder:
    async def test_higher_priority_comes_first(self, queue):
        ids = {name: await queue.enqueue("email", priority=name) for name in (LOW, NORMAL, HIGH)}

        assert await claim_order(queue) == [ids[HIGH], ids[NORMAL], ids[LOW]]

    async def test_equal_priorities_come_in_enqueue_order(self, queue):
        ids = [await queue.enqueue("email") for _ in range(20)]

        assert await claim_order(queue) == ids

    async def test_own_ids_do_not_change_the_order(self, queue):
        for job_id in ("c", "a", "b"):
            await queue.enqueue("email", job_id=job_id)

        assert await claim_order(queue) == ["c", "a", "b"]

    async def test_the_order_runs_over_all_job_types_together(self, queue, clock):
        ids = []
        for job_type, priority in [("b", NORMAL), ("a", NORMAL), ("c", HIGH), ("a", HIGH), ("b", LOW)]:
            ids.append(await queue.enqueue(job_type, priority=priority))
            clock.advance(1)

        assert await claim_order(queue, ["a", "b", "c"]) == [ids[2], ids[3], ids[0], ids[1], ids[4]]

    async def test_the_order_is_the_same_when_every_type_is_claimed(self, queue):
        ids = [await queue.enqueue(job_type) for job_type in ("z", "a", "m", "a", "z")]

        assert await claim_order(queue, None) == ids

    async def test_the_order_of_the_requested_types_does_not_matter(self, queue):
        ids = [await queue.enqueue(job_type) for job_type in ("z", "a", "m")]

        assert await claim_order(queue, ["m", "z", "a", "m"]) == ids

    async def test_within_a_priority_the_earlier_ready_comes_first(self, queue, clock):
        late = await queue.enqueue("email", delay=10)
        early = await queue.enqueue("email", delay=5)
        clock.advance(7)
        now = await queue.enqueue("email")
        clock.advance(10)

        assert await claim_order(queue) == [early, now, late]

    async def test_priority_goes_before_ready_time(self, queue, clock):
        old = await queue.enqueue("email")
        high = await queue.enqueue("email", priority=HIGH, delay=60)
        clock.advance(60)

        assert await claim_order(queue) == [high, old]

    async def test_only_the_requested_types_are_claimed(self, queue):
        await queue.enqueue("report", priority=HIGH)
        email = await queue.enqueue("email", priority=LOW)

        assert await claim_order(queue, ["email"]) == [email]
        assert await queue.counts() == {"email": {"processing": 1}, "report": {"pending": 1}}

    async def test_a_crowd_of_another_types_jobs_in_front_hides_nothing(self, queue):
        await queue.enqueue_many([new_job("report", HIGH) for _ in range(300)])
        emails = await queue.enqueue_many([new_job("email", LOW) for _ in range(3)])

        assert await claim_order(queue, ["email"]) == emails

    async def test_a_crowd_of_delayed_jobs_in_front_hides_nothing(self, queue):
        await queue.enqueue_many([new_job("email", HIGH, delay=60) for _ in range(300)])
        ready = await queue.enqueue_many([new_job("email", LOW) for _ in range(3)])

        assert await claim_order(queue, ["email"]) == ready

    async def test_due_jobs_of_a_crowd_come_in_their_order(self, queue, clock):
        delays = [(7 * n) % 50 for n in range(50)]
        ids = await queue.enqueue_many([new_job("email", delay=delay) for delay in delays])
        clock.advance(50)

        assert await claim_order(queue) == [ids[delays.index(delay)] for delay in range(50)]

    async def test_a_job_is_due_at_its_instant_and_not_before(self, queue, clock):
        job = await make_job(queue, delay=5)

        clock.advance(4.999)
        assert await queue.claim() is None
        clock.advance(0.001)
        assert (await claim_job(queue)).id == job.id

    async def test_many_types_may_be_asked_for_at_once(self, queue):
        names = [f"type-{n}" for n in range(60)]
        ids = [await queue.enqueue(name) for name in reversed(names)]

        assert await claim_order(queue, names) == ids


class TestClaimMany:
    async def test_jobs_come_best_first_and_no_more_than_asked_for(self, queue):
        ids = [await queue.enqueue("email", priority=priority) for priority in (LOW, HIGH, NORMAL, HIGH)]

        jobs = await queue.claim_many(["email"], 3)

        assert [job.id for job in jobs] == [ids[1], ids[3], ids[2]]
        assert {job.status for job in jobs} == {JobStatus.PROCESSING}

    async def test_each_job_has_its_own_token(self, queue):
        await queue.enqueue_many([new_job("email") for _ in range(10)])

        jobs = await queue.claim_many()

        assert len({job.lease_token for job in jobs}) == 10
        for job in jobs:
            assert await queue.complete(job.id, lease_token=job.lease_token)

    async def test_fewer_come_when_fewer_are_ready(self, queue):
        ids = [await queue.enqueue("email") for _ in range(2)]

        assert [job.id for job in await queue.claim_many(limit=5)] == ids


class TestConcurrentClaims:
    async def test_no_two_claims_get_the_same_job(self, queue):
        ids = await queue.enqueue_many([new_job("email") for _ in range(50)])

        jobs = await asyncio.gather(*(queue.claim(["email"]) for _ in range(60)))

        claimed = [job.id for job in jobs if job is not None]
        assert sorted(claimed) == sorted(ids)

    async def test_batches_do_not_overlap(self, queue):
        ids = await queue.enqueue_many([new_job("email") for _ in range(50)])

        batches = await asyncio.gather(*(queue.claim_many(limit=7) for _ in range(10)))

        assert sorted(job.id for batch in batches for job in batch) == sorted(ids)


class TestWaiting:
    async def test_a_waiting_claim_gets_a_job_as_soon_as_it_is_enqueued(self, queue, waits):
        waiting = asyncio.ensure_future(queue.claim(["email"], wait=3600))
        await waits.begun()

        job_id = await queue.enqueue("email")

        job = await asyncio.wait_for(waiting, WITHIN)
        assert job is not None
        assert job.id == job_id

    async def test_a_claim_of_every_type_waits_for_any(self, queue, waits):
        waiting = asyncio.ensure_future(queue.claim(wait=3600))
        await waits.begun()

        job_id = await queue.enqueue("report")

        job = await asyncio.wait_for(waiting, WITHIN)
        assert job is not None
        assert job.id == job_id

    async def test_a_wait_ends_empty_when_its_time_is_up(self, queue):
        await queue.enqueue("report")

        assert await asyncio.wait_for(queue.claim(["email"], wait=0.05), WITHIN) is None

    async def test_a_released_job_wakes_a_waiting_claim(self, queue, waits):
        job = await start_job(queue)
        waiting = asyncio.ensure_future(queue.claim(["email"], wait=3600))
        await waits.begun()

        await queue.release(job.id, lease_token=job.lease_token)

        again = await asyncio.wait_for(waiting, WITHIN)
        assert again is not None
        assert again.id == job.id

    async def test_a_resumed_type_wakes_a_waiting_claim(self, queue, waits):
        job = await make_job(queue)
        await queue.pause("email")
        waiting = asyncio.ensure_future(queue.claim(["email"], wait=3600))
        await waits.begun()

        await queue.resume("email")

        claimed = await asyncio.wait_for(waiting, WITHIN)
        assert claimed is not None
        assert claimed.id == job.id

    async def test_a_waiting_claim_gets_a_delayed_job_when_it_is_due(self, make_queue, bells_only):
        queue = make_queue(clock=SystemClock())
        job_id = await queue.enqueue("email", delay=0.3)

        job = await asyncio.wait_for(queue.claim(wait=3600), WITHIN)

        assert job is not None
        assert job.id == job_id
        assert job.started_at >= job.run_at

    async def test_a_waiting_claim_gets_a_job_whose_lease_ran_out(self, make_queue, bells_only):
        queue = make_queue(clock=SystemClock())
        lost = await start_job(queue, lease=0.2)

        job = await asyncio.wait_for(queue.claim(wait=3600), WITHIN)

        assert job is not None
        assert (job.id, job.losses) == (lost.id, 1)
        assert job.started_at >= lost.lease_expires_at

    async def test_a_cancelled_wait_takes_no_job(self, queue, waits):
        waiting = asyncio.ensure_future(queue.claim(wait=3600))
        await waits.begun()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        job = await make_job(queue)

        assert (await claim_job(queue)).id == job.id

    @pytest.mark.parametrize("steps", range(8))
    async def test_a_cancelled_claim_strands_no_job(self, queue, steps):
        job = await make_job(queue)
        claiming = asyncio.ensure_future(queue.claim())
        for _ in range(steps):
            await asyncio.sleep(0)

        claiming.cancel()
        await asyncio.wait([claiming])

        async def is_pending() -> bool:
            return (await get_job(queue, job.id)).status is JobStatus.PENDING

        if not claiming.cancelled():  # it was quicker, and the caller has the job
            given = claiming.result()
            assert await queue.release(given.id, lease_token=given.lease_token)
        await eventually(is_pending)

    @pytest.mark.parametrize("job_types", [None, ["email"]])
    async def test_nothing_due_lies_behind_a_claim_that_found_nothing(self, queue, clock, job_types):
        await start_job(queue, lease=50)
        await queue.enqueue("email", delay=10)
        await queue.pause("email", until=clock.time + timedelta(seconds=20))
        await queue.pause("report", until=clock.time + timedelta(seconds=5))
        for _ in range(5):
            clock.advance(3)
            due = await next_due(queue, job_types)

            assert due is None or due > clock.now()

    async def test_the_next_instant_is_the_earliest_run_at_or_lease_end(self, queue, clock):
        await queue.open()
        assert await next_due(queue, None) is None

        await start_job(queue, lease=50)
        assert await next_due(queue, ["email"]) == clock.now() + 50_000
        await queue.enqueue("email", delay=40)
        assert await next_due(queue, ["email"]) == clock.now() + 40_000
        await queue.enqueue("report", delay=20)
        assert await next_due(queue, ["email"]) == clock.now() + 40_000
        assert await next_due(queue, None) == clock.now() + 20_000


def new_job(job_type: str, priority: JobPriority = NORMAL, delay: float | None = None):
    return NewJob(job_type=job_type, priority=priority, delay=delay)


async def test_an_id_that_is_used_again_for_another_type_is_claimed_as_that_type_alone(queue):
    await make_job(queue, "email", job_id="again")
    await queue.cancel("again")
    await queue.delete("again")
    await make_job(queue, "sms", job_id="again")

    assert await queue.claim(["email"]) is None
    assert (await claim_job(queue, "sms")).job_type == "sms"
