"""Batches: all of them are stored, or none."""

from __future__ import annotations

import pytest

from jdobb_async_queue import (
    DuplicateJob,
    JobExists,
    JobPriority,
    JobStatus,
    NewJob,
    PayloadTooLarge,
    QueueFull,
    RetryPolicy,
)
from tests.support.jobs import claim_order, get_job, make_job


async def test_ids_come_in_the_order_of_the_jobs(queue):
    ids = await queue.enqueue_many([NewJob(job_type="email", data={"n": n}) for n in range(10)])

    assert [(await get_job(queue, job_id)).data["n"] for job_id in ids] == list(range(10))
    assert await claim_order(queue) == ids


async def test_an_empty_batch_stores_nothing(queue):
    assert await queue.enqueue_many([]) == []
    assert await queue.counts() == {}


async def test_a_new_job_has_the_same_options_as_enqueue(queue, clock):
    options = {
        "data": {"n": 1}, "priority": JobPriority.HIGH, "ttl": 60, "metadata": {"m": 1}, "delay": 5,
        "timeout": 3, "retry": RetryPolicy(max_attempts=4), "max_lost": 2, "unique_key": "k",
    }  # fmt: skip
    (one,) = await queue.enqueue_many([NewJob(job_type="email", job_id="one", **options)])
    other = await queue.enqueue("report", job_id="other", **options)

    ignored = {"id", "job_type"}
    assert (await get_job(queue, one)).model_dump(exclude=ignored) == (
        await get_job(queue, other)
    ).model_dump(exclude=ignored)


class TestAllOrNone:
    @pytest.fixture
    async def before(self, queue):
        await queue.enqueue("email", {"n": 1}, job_id="taken")
        await queue.enqueue("email", unique_key="held", job_id="holder")
        return await self.everything(queue)

    async def everything(self, queue):
        return await queue.counts(), (await queue.list_jobs()).items, await queue.stats()

    async def test_a_taken_id_stores_nothing(self, queue, before):
        with pytest.raises(JobExists):
            await queue.enqueue_many(
                [
                    NewJob(job_type="report", job_id="new"),
                    NewJob(job_type="email", job_id="taken", data={"n": 2}),
                ]
            )

        assert await self.everything(queue) == before
        assert await queue.get("new") is None

    async def test_a_rejected_duplicate_stores_nothing_and_replaces_nothing(self, queue, before):
        with pytest.raises(DuplicateJob):
            await queue.enqueue_many(
                [
                    NewJob(job_type="email", data={"n": 9}, unique_key="held", on_conflict="replace"),
                    NewJob(job_type="report", unique_key="free"),
                    NewJob(job_type="email", unique_key="held", on_conflict="reject"),
                ]
            )

        assert await self.everything(queue) == before
        assert await queue.enqueue("report", unique_key="free", job_id="first") == "first"

    async def test_a_full_type_stores_nothing(self, queue, before):
        await queue.set_job_type("email", max_pending=3)

        with pytest.raises(QueueFull):
            await queue.enqueue_many([NewJob(job_type="email") for _ in range(2)])

        assert await self.everything(queue) == before

    async def test_a_bad_item_is_named_and_stores_nothing(self, queue, before):
        with pytest.raises(ValueError, match=r"jobs\[1\]\.job_type"):
            await queue.enqueue_many([NewJob(job_type="report"), NewJob(job_type="no blanks please")])

        assert await self.everything(queue) == before

    async def test_a_too_large_item_is_named(self, make_queue):
        queue = make_queue(max_payload_bytes=50)

        with pytest.raises(PayloadTooLarge) as refused:
            await queue.enqueue_many([NewJob(job_type="a"), NewJob(job_type="a", data={"x": "y" * 50})])

        assert refused.value.field == "jobs[1].data"
        assert await queue.counts() == {}

    async def test_a_refused_batch_leaves_the_claim_order_as_it_was(self, queue):
        held = await queue.enqueue("email", unique_key="k")
        other = await queue.enqueue("email")
        with pytest.raises(DuplicateJob):
            await queue.enqueue_many(
                [
                    NewJob(job_type="email", unique_key="k", delay=60, on_conflict="replace"),
                    NewJob(job_type="email", unique_key="k", on_conflict="reject"),
                ]
            )

        assert await claim_order(queue) == [held, other]


class TestLaterItemsMeetEarlierOnes:
    async def test_by_unique_key(self, queue):
        ids = await queue.enqueue_many(
            [NewJob(job_type="email", unique_key="k", data={"n": n}) for n in range(3)]
        )

        assert len(set(ids)) == 1
        assert (await get_job(queue, ids[0])).data == {"n": 0}

    async def test_by_id(self, queue):
        ids = await queue.enqueue_many([NewJob(job_type="email", job_id="a", data={"n": 1})] * 2)

        assert ids == ["a", "a"]
        assert await queue.counts() == {"email": {"pending": 1}}

    async def test_by_id_with_other_content(self, queue):
        with pytest.raises(JobExists):
            await queue.enqueue_many([NewJob(job_type="email", job_id="a", data={"n": n}) for n in range(2)])

        assert await queue.get("a") is None

    async def test_with_reject(self, queue):
        with pytest.raises(DuplicateJob):
            await queue.enqueue_many(
                [NewJob(job_type="email", unique_key="k", on_conflict="reject") for _ in range(2)]
            )

        assert await queue.counts() == {}

    async def test_with_replace(self, queue):
        ids = await queue.enqueue_many(
            [NewJob(job_type="email", unique_key="k", data={"n": n}, on_conflict="replace") for n in range(3)]
        )

        assert len(set(ids)) == 1
        assert (await get_job(queue, ids[0])).data == {"n": 2}

    async def test_of_the_room_that_is_left(self, make_queue):
        queue = make_queue(max_pending=2)

        with pytest.raises(QueueFull):
            await queue.enqueue_many([NewJob(job_type="email") for _ in range(3)])

        assert await queue.counts() == {}
        assert len(await queue.enqueue_many([NewJob(job_type="email") for _ in range(2)])) == 2

    async def test_the_submissions_tell_which_were_created(self, queue):
        await queue.enqueue("email", job_id="old")

        submissions = await queue.submit_many(
            [
                NewJob(job_type="email", job_id="old"),
                NewJob(job_type="email", job_id="new"),
                NewJob(job_type="email", job_id="new"),
            ]
        )

        assert [submission.created for submission in submissions] == [False, True, False]
        assert [submission.job.id for submission in submissions] == ["old", "new", "new"]


class TestLimits:
    async def test_a_thousand_jobs_are_a_batch(self, queue):
        assert len(await queue.enqueue_many([NewJob(job_type="email")] * 1000)) == 1000

    async def test_one_more_is_refused(self, queue):
        with pytest.raises(ValueError, match="jobs"):
            await queue.enqueue_many([NewJob(job_type="email")] * 1001)

        assert await queue.counts() == {}

    async def test_more_than_eight_mebibytes_are_refused(self, queue):
        megabyte = {"x": "y" * 1_000_000}

        with pytest.raises(PayloadTooLarge) as refused:
            await queue.enqueue_many([NewJob(job_type="email", data=megabyte)] * 9)

        assert refused.value.field == "jobs"
        assert await queue.counts() == {}

    @pytest.mark.parametrize(
        "jobs", [None, "email", NewJob(job_type="email"), [{"job_type": "email"}], [None]]
    )
    async def test_anything_but_a_list_of_new_jobs_is_refused(self, queue, jobs):
        with pytest.raises(TypeError, match="jobs"):
            await queue.enqueue_many(jobs)


async def test_a_batch_wakes_and_feeds_claims_of_each_type(queue):
    await queue.enqueue_many([NewJob(job_type="a"), NewJob(job_type="b")])

    for job_type in ("a", "b"):
        job = await queue.claim([job_type])
        assert job is not None
        assert job.status is JobStatus.PROCESSING


async def test_a_job_stored_in_a_batch_is_like_any_other(queue):
    (batched,) = await queue.enqueue_many([NewJob(job_type="email", data={"n": 1})])
    single = await make_job(queue, data={"n": 1})

    ignored = {"id"}
    assert (await get_job(queue, batched)).model_dump(exclude=ignored) == single.model_dump(exclude=ignored)
