"""How terminal jobs go: after their retention, or by hand."""

from __future__ import annotations

import pytest

from jdobb_async_queue import Broadcaster, JobNotFound, Outcome
from tests.support.jobs import get_job, make_in_state, make_job, start_job, sweep

WEEK = 604_800


class TestPrune:
    @pytest.mark.parametrize("state", ["complete", "failed", "cancelled"])
    async def test_a_terminal_job_is_removed_after_its_retention(self, make_queue, clock, state):
        queue = make_queue(retention=100)
        job = await make_in_state(queue, state)

        clock.advance(99.999)
        assert await queue.backend.prune(100) == 0
        assert await queue.get(job.id) is not None
        clock.advance(0.001)
        assert await queue.backend.prune(100) == 1
        assert await queue.get(job.id) is None

    async def test_a_week_is_the_default(self, queue, clock):
        job = await make_in_state(queue, "complete")

        clock.advance(WEEK - 1)
        assert await queue.backend.prune(100) == 0
        clock.advance(1)
        assert await queue.backend.prune(100) == 1
        assert await queue.get(job.id) is None

    async def test_retention_may_differ_by_status(self, make_queue, clock):
        queue = make_queue(retention={"complete": 10, "failed": None})
        complete, failed, cancelled = [
            await make_in_state(queue, state) for state in ("complete", "failed", "cancelled")
        ]

        clock.advance(10)
        await queue.backend.prune(100)
        assert [job is None for job in await queue.get_many([complete.id, failed.id, cancelled.id])] == [
            True,
            False,
            False,
        ]
        clock.advance(WEEK)
        await queue.backend.prune(100)
        assert [job is None for job in await queue.get_many([failed.id, cancelled.id])] == [False, True]

    async def test_jobs_may_be_kept_for_ever(self, make_queue, clock):
        queue = make_queue(retention=None)
        job = await make_in_state(queue, "complete")
        clock.advance(86_400 * 365 * 10)

        assert await queue.backend.prune(100) == 0
        assert await queue.get(job.id) is not None

    async def test_a_retention_of_nothing_removes_at_the_next_pass(self, make_queue):
        queue = make_queue(retention=0)
        await make_in_state(queue, "complete")

        assert await queue.backend.prune(100) == 1

    async def test_live_jobs_stay(self, make_queue, clock):
        queue = make_queue(retention=1)
        running = await start_job(queue, lease=86_400)
        waiting = await make_job(queue)
        clock.advance(100)

        assert await queue.backend.prune(100) == 0
        assert None not in await queue.get_many([waiting.id, running.id])

    async def test_a_pass_is_bounded(self, make_queue, clock):
        queue = make_queue(retention=1)
        for _ in range(7):
            await make_in_state(queue, "complete")
        clock.advance(1)

        assert [await queue.backend.prune(3) for _ in range(4)] == [3, 3, 1, 0]

    async def test_a_retried_job_is_not_removed(self, make_queue, clock):
        queue = make_queue(retention=10)
        job = await make_in_state(queue, "failed")
        await queue.retry(job.id)
        clock.advance(10)

        assert await queue.backend.prune(100) == 0
        assert await queue.get(job.id) is not None

    async def test_a_job_that_ends_again_has_its_time_anew(self, make_queue, clock):
        queue = make_queue(retention=10)
        job = await make_in_state(queue, "failed")
        clock.advance(8)
        await queue.retry(job.id)
        await queue.cancel(job.id)
        clock.advance(8)

        assert await queue.backend.prune(100) == 0
        clock.advance(2)
        assert await queue.backend.prune(100) == 1

    async def test_what_expired_or_lost_its_leases_is_removed_too(self, queue, clock):
        expired, lost = await make_job(queue, ttl=1), await start_job(queue, "report", lease=1, max_lost=1)
        clock.advance(1)
        await queue.claim()
        clock.advance(WEEK)

        assert await queue.backend.prune(100) == 2
        assert await queue.get_many([expired.id, lost.id]) == [None, None]


class TestWhatGoes:
    async def remove(self, queue, job_id, how, clock) -> None:
        if how == "delete":
            assert await queue.delete(job_id)
        else:
            clock.advance(WEEK)
            assert await queue.backend.prune(100) == 1

    @pytest.mark.parametrize("how", ["delete", "prune"])
    async def test_a_removed_job_is_gone_with_all_that_belongs_to_it(self, queue, clock, how):
        job = await make_in_state(queue, "complete", job_id="a", unique_key="k", metadata={"m": "1"})

        await self.remove(queue, job.id, how, clock)

        assert await queue.get("a") is None
        assert await queue.counts() == {}
        assert (await queue.list_jobs()).items == []
        assert (await queue.list_jobs("complete")).items == []
        assert await queue.backend.read_updates("a", 0) is None
        with pytest.raises(JobNotFound):
            await Broadcaster(queue).snapshot("a")
        assert (await queue.try_cancel("a"))[0] is Outcome.UNKNOWN

    @pytest.mark.parametrize("how", ["delete", "prune"])
    async def test_its_id_may_be_used_again(self, queue, clock, how):
        await make_in_state(queue, "complete", job_id="a", data={"n": 1})
        await self.remove(queue, "a", how, clock)

        assert await queue.enqueue("report", {"n": 2}, job_id="a") == "a"

        assert (await get_job(queue, "a")).version == 1

    async def test_others_stay(self, queue):
        gone, kept = await make_in_state(queue, "complete"), await make_in_state(queue, "complete")

        await queue.delete(gone.id)

        assert [job.id for job in (await queue.list_jobs("complete")).items] == [kept.id]


class TestDelete:
    async def test_deleting_twice_is_unknown_the_second_time(self, queue):
        job = await make_in_state(queue, "complete")

        assert await queue.delete(job.id)
        assert not await queue.delete(job.id)

    @pytest.mark.parametrize("state", ["pending", "delayed", "processing"])
    async def test_a_live_job_is_not_deleted(self, queue, state):
        job = await make_in_state(queue, state)

        assert not await queue.delete(job.id)

        assert await queue.get(job.id) is not None

    async def test_a_refusal_comes_with_the_job(self, queue):
        job = await make_job(queue)

        assert await queue.try_delete(job.id) == (Outcome.TERMINAL, job)

    async def test_many_are_answered_in_order(self, queue):
        live, ended = await make_job(queue, "report"), await make_in_state(queue, "failed")

        answers = await queue.backend.delete([live.id, "nobody", ended.id, ended.id])

        assert answers == [Outcome.TERMINAL, Outcome.UNKNOWN, Outcome.OK, Outcome.UNKNOWN]


@pytest.mark.parametrize(
    ("retention", "error"),
    [
        (-1, ValueError),
        ("1", TypeError),
        ({"done": 1}, ValueError),
        (True, TypeError),
        (float("nan"), ValueError),
    ],
)
def test_a_bad_retention_is_refused(make_queue, retention, error):
    with pytest.raises(error, match="retention"):
        make_queue(retention=retention)


async def test_a_swept_job_is_kept_as_long_as_the_sweep_says(queue, clock):
    job = await make_job(queue, ttl=1)
    clock.advance(1)
    await sweep(queue)
    clock.advance(WEEK * 100)

    assert await queue.backend.prune(100) == 0
    assert await queue.get(job.id) is not None
