"""Own ids: enqueueing the same twice is one job."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import JobExists, JobPriority, NewJob
from tests.support.jobs import STATES, get_job, make_in_state, make_job


async def test_a_job_has_the_id_it_was_given(queue):
    job_id = "order:42_a.B-c"

    assert await queue.enqueue("email", job_id=job_id) == job_id

    assert (await get_job(queue, job_id)).id == job_id


@pytest.mark.parametrize("state", STATES)
async def test_the_same_again_changes_nothing(queue, clock, state):
    await make_in_state(queue, state, job_id="a", data={"n": 1})
    before = await queue.get("a")
    clock.advance(1)

    assert await queue.enqueue("email", {"n": 1}, job_id="a") == "a"

    assert await queue.get("a") == before


async def test_the_answer_tells_that_the_job_existed(queue):
    await queue.enqueue("email", {"n": 1}, job_id="a")

    submission = await queue.submit(NewJob(job_type="email", data={"n": 1}, job_id="a"))

    assert (submission.created, submission.replayed, submission.job.id) == (False, False, "a")


async def test_data_is_compared_by_content_not_by_order(queue):
    await queue.enqueue("email", {"x": 1, "y": {"a": 1, "b": [1, 2]}}, job_id="a")

    assert await queue.enqueue("email", {"y": {"b": (1, 2), "a": 1}, "x": 1}, job_id="a") == "a"


async def test_only_the_job_type_and_the_data_are_compared(queue):
    job = await make_job(queue, data={"n": 1}, job_id="a")

    assert await queue.enqueue("email", {"n": 1}, JobPriority.HIGH, 5, {"m": 1}, job_id="a", delay=5) == "a"

    assert await queue.get("a") == job


@pytest.mark.parametrize(
    ("job_type", "data"), [("email", {"n": 2}), ("report", {"n": 1}), ("email", {}), ("email", {"n": "1"})]
)
@pytest.mark.parametrize("state", ["pending", "processing", "complete"])
async def test_other_content_is_refused(queue, state, job_type, data):
    job = await make_in_state(queue, state, job_id="a", data={"n": 1})
    before = await queue.get("a")

    with pytest.raises(JobExists) as refused:
        await queue.enqueue(job_type, data, job_id="a")

    assert refused.value.job_id == job.id
    assert await queue.get("a") == before


async def test_the_id_of_a_removed_job_may_be_used_again(queue):
    await make_in_state(queue, "complete", job_id="a", data={"n": 1}, unique_key="k")
    await queue.delete("a")

    await queue.enqueue("report", {"n": 2}, job_id="a")

    fresh = await get_job(queue, "a")
    assert (fresh.job_type, fresh.data, fresh.attempt, fresh.version) == ("report", {"n": 2}, 0, 1)
    assert fresh.results is None


async def test_of_many_at_once_one_is_stored(queue):
    submissions = await asyncio.gather(
        *(queue.submit(NewJob(job_type="email", job_id="a", data={"n": 1})) for _ in range(10))
    )

    assert sum(submission.created for submission in submissions) == 1
    assert await queue.counts() == {"email": {"pending": 1}}


async def test_ids_tell_case_apart(queue):
    await queue.enqueue("email", {"n": 1}, job_id="a")
    await queue.enqueue("email", {"n": 2}, job_id="A")

    assert [(await get_job(queue, job_id)).data for job_id in ("a", "A")] == [{"n": 1}, {"n": 2}]
