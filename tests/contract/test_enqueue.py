"""Enqueueing one job."""

import uuid
from datetime import timedelta, timezone

import pytest

from jdobb_async_queue import JobPriority, JobStatus, NewJob, PayloadTooLarge, QueueFull, RetryPolicy
from tests.support.jobs import claim_job, claim_order, get_job, log_of, make_in_state, make_job, start_job


async def test_an_enqueued_job_is_pending_and_ready_now(queue, clock):
    job_id = await queue.enqueue("email", data={"to": "ada"})

    job = await get_job(queue, job_id)
    assert (job.id, job.job_type, job.data) == (job_id, "email", {"to": "ada"})
    assert job.status is JobStatus.PENDING
    assert job.priority is JobPriority.NORMAL
    assert job.created_at == job.updated_at == job.run_at == clock.time
    assert (job.attempt, job.failures, job.losses, job.version) == (0, 0, 0, 1)
    assert (job.max_attempts, job.max_lost, job.timeout) == (1, 3, None)
    assert (job.progress, job.message, job.results, job.error, job.errors) == (0.0, None, None, None, [])
    assert (job.metadata, job.ttl, job.unique_key, job.worker_id) == ({}, None, None, None)
    assert (job.started_at, job.completed_at, job.lease_token, job.lease_expires_at) == (None,) * 4


async def test_the_guides_parameters_may_be_given_by_position(queue):
    job_id = await queue.enqueue("email", {"to": "ada"}, JobPriority.HIGH, 3600, {"user_id": "123"})

    job = await get_job(queue, job_id)
    assert (job.data, job.priority, job.ttl, job.metadata) == (
        {"to": "ada"},
        JobPriority.HIGH,
        3600,
        {"user_id": "123"},
    )


async def test_data_and_metadata_may_be_left_out(queue):
    job = await get_job(queue, await queue.enqueue("email"))

    assert (job.data, job.metadata) == ({}, {})


async def test_ids_are_uuids_that_sort_in_enqueue_order(queue, clock):
    ids = []
    for pause in (0, 0, 0.001, 5, 0):
        clock.advance(pause)
        ids.append(await queue.enqueue("email"))

    assert ids == sorted(set(ids))
    assert {uuid.UUID(job_id).version for job_id in ids} == {7}


@pytest.mark.parametrize("name", ["low", "normal", "high"])
async def test_a_priority_is_given_by_member_or_by_name(queue, name):
    by_member, by_name = (
        await make_job(queue, priority=JobPriority(name)),
        await make_job(queue, priority=name),
    )

    assert by_member.priority is by_name.priority is JobPriority(name)


async def test_a_delayed_job_is_due_after_its_delay(queue, clock):
    job = await make_job(queue, delay=1.5)

    assert job.status is JobStatus.PENDING
    assert job.run_at == clock.time + timedelta(seconds=1.5)


async def test_a_job_may_be_due_at_an_instant(queue, clock):
    due = clock.time + timedelta(hours=3)

    job = await make_job(queue, run_at=due)

    assert job.run_at == due


async def test_an_instant_in_another_time_zone_is_the_same_instant(queue, clock):
    due = (clock.time + timedelta(hours=3)).astimezone(timezone(timedelta(hours=-7)))

    job = await make_job(queue, run_at=due)

    assert job.run_at == due
    assert job.run_at.utcoffset() == timedelta(0)


async def test_a_job_due_in_the_past_is_ready_now(queue, clock):
    job = await make_job(queue, run_at=clock.time - timedelta(days=1))

    assert job.run_at == clock.time


async def test_a_job_keeps_its_own_limits(queue):
    job = await make_job(queue, timeout=2.5, max_attempts=4, max_lost=1, ttl=0.25)

    assert (job.timeout, job.max_attempts, job.max_lost, job.ttl) == (2.5, 4, 1, 0.25)


async def test_max_attempts_wins_over_the_policys(queue):
    job = await make_job(queue, retry=RetryPolicy(max_attempts=9), max_attempts=2)

    assert job.max_attempts == 2


async def test_the_queues_default_ttl_is_for_jobs_without_their_own(make_queue):
    queue = make_queue(default_ttl=60)

    plain, own = await make_job(queue), await make_job(queue, ttl=5)

    assert (plain.ttl, own.ttl) == (60, 5)


async def test_enqueueing_publishes_no_update(queue):
    job = await make_job(queue)

    assert await log_of(queue, job.id) == []


async def test_a_stored_job_does_not_follow_the_callers_objects(queue):
    data, metadata = {"to": ["ada"]}, {"tags": {"a": 1}}
    job_id = await queue.enqueue("email", data=data, metadata=metadata)

    data["to"].append("bob")
    metadata["tags"]["b"] = 2

    job = await get_job(queue, job_id)
    assert (job.data, job.metadata) == ({"to": ["ada"]}, {"tags": {"a": 1}})


async def test_submit_tells_that_it_created_a_job(queue):
    submission = await queue.submit(NewJob(job_type="email", data={"to": "ada"}))

    assert (submission.created, submission.replayed) == (True, False)
    assert submission.job == await queue.get(submission.job.id)


async def test_a_job_carries_what_the_service_stores_with_it(queue):
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    submission = await queue.submit(NewJob(job_type="email", request_id="req-1", traceparent=traceparent))

    job = await get_job(queue, submission.job.id)
    assert (job.request_id, job.traceparent) == ("req-1", traceparent)
    claimed = await claim_job(queue)
    assert (claimed.request_id, claimed.traceparent) == ("req-1", traceparent)


class TestPayloadLimit:
    @pytest.mark.parametrize("field", ["data", "metadata"])
    async def test_a_payload_of_just_the_limit_is_stored(self, make_queue, field):
        queue = make_queue(max_payload_bytes=100)
        payload = {"x": "y" * 92}

        job = await make_job(queue, **{field: payload})

        assert getattr(job, field) == payload

    @pytest.mark.parametrize("field", ["data", "metadata"])
    async def test_a_byte_more_is_refused_and_nothing_is_stored(self, make_queue, field):
        queue = make_queue(max_payload_bytes=100)

        with pytest.raises(PayloadTooLarge) as refused:
            await queue.enqueue("email", **{field: {"x": "y" * 93}})

        assert (refused.value.field, refused.value.size, refused.value.limit) == (field, 101, 100)
        assert await queue.counts() == {}

    async def test_the_limit_counts_bytes_not_characters(self, make_queue):
        queue = make_queue(max_payload_bytes=100)

        with pytest.raises(PayloadTooLarge):
            await queue.enqueue("email", data={"x": "é" * 47})

    async def test_results_over_the_limit_are_refused_and_the_job_stays_as_it_is(self, make_queue):
        queue = make_queue(max_payload_bytes=100)
        job = await start_job(queue)
        before = await queue.get(job.id)

        with pytest.raises(PayloadTooLarge) as refused:
            await queue.complete(job.id, {"x": "y" * 93}, lease_token=job.lease_token)

        assert refused.value.field == "results"
        assert await queue.get(job.id) == before

    async def test_the_default_limit_is_a_mebibyte(self, queue):
        await queue.enqueue("email", data={"x": "y" * (1_048_576 - 8)})

        with pytest.raises(PayloadTooLarge):
            await queue.enqueue("email", data={"x": "y" * (1_048_576 - 7)})


class TestMaxPending:
    async def test_a_full_job_type_refuses_more(self, make_queue):
        queue = make_queue(max_pending=2)
        await queue.enqueue("email")
        await queue.enqueue("email", delay=60)

        with pytest.raises(QueueFull) as full:
            await queue.enqueue("email")

        assert (full.value.job_type, full.value.limit) == ("email", 2)
        assert await queue.counts() == {"email": {"pending": 2}}

    async def test_each_job_type_has_its_own_room(self, make_queue):
        queue = make_queue(max_pending=1)
        await queue.enqueue("email")

        await queue.enqueue("report")

        assert await queue.counts() == {"email": {"pending": 1}, "report": {"pending": 1}}

    async def test_running_jobs_take_no_room(self, make_queue):
        queue = make_queue(max_pending=1)
        await start_job(queue)

        await queue.enqueue("email")

        assert await queue.counts() == {"email": {"pending": 1, "processing": 1}}

    async def test_a_job_types_own_limit_wins_over_the_queues(self, make_queue):
        queue = make_queue(max_pending=1)
        await queue.set_job_type("email", max_pending=2)
        await queue.enqueue("email")

        await queue.enqueue("email")

        with pytest.raises(QueueFull):
            await queue.enqueue("email")

    async def test_a_limit_of_none_pending_refuses_every_job(self, queue):
        await queue.set_job_type("email", max_pending=0)

        with pytest.raises(QueueFull):
            await queue.enqueue("email")

    async def test_a_job_that_exists_already_is_met_also_when_the_type_is_full(self, make_queue):
        queue = make_queue(max_pending=1)
        await queue.enqueue("email", {"n": 1}, job_id="a", unique_key="k")

        assert await queue.enqueue("email", {"n": 1}, job_id="a") == "a"
        assert await queue.enqueue("email", unique_key="k") == "a"
        assert await queue.enqueue("email", {"n": 2}, unique_key="k", on_conflict="replace") == "a"

    async def test_retries_releases_and_rescues_are_exempt(self, make_queue, clock):
        queue = make_queue(max_pending=1)
        failed = await make_in_state(queue, "failed")
        released, lost = await start_job(queue), await start_job(queue, lease=1)
        await queue.enqueue("email")

        assert await queue.retry(failed.id)
        assert await queue.release(released.id, lease_token=released.lease_token)
        clock.advance(1)
        assert len(await claim_order(queue)) == 4
        assert (await get_job(queue, lost.id)).losses == 1
