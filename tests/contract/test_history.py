"""What happened: figures per minute and job type, and failures by error type."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jdobb_async_queue import HistoryPoint, NewJob
from jdobb_async_queue.backends.history import MOST_KINDS, OTHER
from tests.support.jobs import claim_job, make_in_state, make_job, start_job, sweep

FIGURES = ("enqueued", "started", "complete", "failed", "cancelled", "retried")


def figures(point: HistoryPoint) -> dict[str, int]:
    return {name: getattr(point, name) for name in FIGURES if getattr(point, name)}


class TestPoints:
    async def test_nothing_happened_at_first(self, queue):
        assert await queue.stats_history() == []
        assert await queue.stats_errors() == []

    async def test_each_move_is_counted_in_its_minute(self, queue, clock):
        await make_in_state(queue, "complete")
        await make_in_state(queue, "failed")
        clock.advance(60)
        await make_in_state(queue, "cancelled")
        await make_job(queue)

        first, second = await queue.stats_history()

        assert (first.minute, second.minute) == (clock.time - timedelta(seconds=60), clock.time)
        assert figures(first) == {"enqueued": 2, "started": 2, "complete": 1, "failed": 1}
        assert figures(second) == {"enqueued": 2, "started": 1, "cancelled": 1}

    async def test_job_types_are_apart(self, queue):
        await make_in_state(queue, "complete", "email")
        await make_job(queue, "report")

        assert {point.job_type: figures(point) for point in await queue.stats_history()} == {
            "email": {"enqueued": 1, "started": 1, "complete": 1},
            "report": {"enqueued": 1},
        }

    async def test_failures_with_attempts_left_and_lost_leases_are_retried(self, queue, clock):
        job = await start_job(queue, max_attempts=5)
        await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=0)
        await claim_job(queue, lease=1)
        clock.advance(1)
        await sweep(queue)

        (point,) = await queue.stats_history()
        assert figures(point) == {"enqueued": 1, "started": 2, "retried": 2}

    async def test_releases_and_retries_by_an_operator_are_no_failures(self, queue):
        job = await start_job(queue)
        await queue.release(job.id, lease_token=job.lease_token)
        await queue.cancel(job.id)
        await queue.retry(job.id)

        (point,) = await queue.stats_history()
        assert figures(point) == {"enqueued": 1, "started": 1, "cancelled": 1}

    async def test_expiries_and_the_last_loss_are_failures(self, queue, clock):
        await make_job(queue, ttl=1)
        await start_job(queue, "report", lease=1, max_lost=1)
        clock.advance(1)
        await sweep(queue)

        assert {point.job_type: figures(point) for point in await queue.stats_history()} == {
            "email": {"enqueued": 1, "failed": 1},
            "report": {"enqueued": 1, "started": 1, "failed": 1},
        }

    async def test_a_job_that_existed_already_is_not_counted_again(self, queue):
        for _ in range(3):
            await queue.enqueue("email", job_id="a")
            await queue.enqueue("email", unique_key="k")
            await queue.enqueue("email", unique_key="k", on_conflict="replace")

        (point,) = await queue.stats_history()
        assert figures(point) == {"enqueued": 2}

    async def test_a_batch_is_counted(self, queue):
        await queue.enqueue_many([NewJob(job_type="email") for _ in range(5)])

        (point,) = await queue.stats_history()
        assert figures(point) == {"enqueued": 5}

    async def test_waits_and_runs_are_measured(self, queue, clock):
        await queue.enqueue("email")
        clock.advance(4)
        job = await claim_job(queue)
        clock.advance(10)
        await queue.complete(job.id, lease_token=job.lease_token)

        (point,) = await queue.stats_history()
        assert point.wait_p50 == point.wait_p95 == pytest.approx(4, rel=0.2)
        assert point.run_p50 == point.run_p95 == pytest.approx(10, rel=0.2)

    async def test_the_quantiles_tell_the_usual_from_the_slow(self, queue, clock):
        for run in [1] * 10 + [30]:
            job = await start_job(queue, lease=1000)
            clock.advance(run)
            await queue.complete(job.id)

        (point,) = [point for point in await queue.stats_history() if point.complete]
        assert point.run_p50 == pytest.approx(1, rel=0.2)
        assert point.run_p95 == pytest.approx(30, rel=0.2)

    async def test_a_minute_without_starts_has_no_quantiles(self, queue):
        await queue.enqueue("email")

        (point,) = await queue.stats_history()
        assert (point.wait_p50, point.wait_p95, point.run_p50, point.run_p95) == (None,) * 4

    async def test_a_window_looks_back_that_far(self, queue, clock):
        for _ in range(5):
            await queue.enqueue("email")
            clock.advance(60)

        assert len(await queue.stats_history(window=86_400)) == 5
        assert len(await queue.stats_history(window=120)) == 2
        assert len(await queue.stats_history(window=1)) == 1  # the minute that has just ended reaches into it

    async def test_figures_survive_the_removal_of_their_jobs(self, queue):
        job = await make_in_state(queue, "complete")
        await queue.delete(job.id)

        (point,) = await queue.stats_history()
        assert point.complete == 1

    async def test_a_day_is_kept(self, queue, clock):
        await queue.enqueue("email")
        clock.advance(86_400 - 120)
        await queue.backend.prune(100)
        assert len(await queue.stats_history()) == 1

        clock.advance(300)
        await queue.backend.prune(100)

        assert await queue.stats_history() == []

    async def test_an_operators_retry_makes_no_point(self, queue, clock):
        job = await make_in_state(queue, "failed")
        clock.advance(60)
        assert await queue.retry(job.id)

        assert len(await queue.stats_history()) == 1

    async def test_what_reaches_into_the_day_stays(self, queue, clock):
        clock.advance(59)
        await make_in_state(queue, "failed")
        clock.advance(86_400)
        await queue.backend.prune(100)

        assert [figures(point) for point in await queue.stats_history()] == [
            {"enqueued": 1, "started": 1, "failed": 1}
        ]
        assert [group.count for group in await queue.stats_errors()] == [1]

    @pytest.mark.parametrize("window", [0, -1, 86_401, float("nan")])
    async def test_a_window_out_of_bounds_is_refused(self, queue, window):
        with pytest.raises(ValueError, match="window"):
            await queue.stats_history(window=window)
        with pytest.raises(ValueError, match="window"):
            await queue.stats_errors(window=window)


class TestErrors:
    async def test_failures_are_grouped_by_job_type_and_error_type(self, queue, clock):
        for job_type, error in [
            ("email", "ValueError"),
            ("email", "OSError"),
            ("email", "ValueError"),
            ("report", "OSError"),
        ]:
            job = await start_job(queue, job_type)
            await queue.fail(job.id, f"boom in {job.id}", lease_token=job.lease_token, type=error)
            clock.advance(1)

        groups = await queue.stats_errors()

        assert [(group.job_type, group.type, group.count) for group in groups] == [
            ("email", "ValueError", 2),
            ("email", "OSError", 1),
            ("report", "OSError", 1),
        ]
        assert (groups[2].last_job_id, groups[2].last_message) == (job.id, f"boom in {job.id}")
        assert groups[2].last_at == clock.time - timedelta(seconds=1)

    async def test_every_failed_attempt_counts(self, queue):
        job_id = await queue.enqueue("email", max_attempts=3)
        for _ in range(3):
            job = await claim_job(queue)
            await queue.fail(job_id, "boom", lease_token=job.lease_token, retry_in=0)

        (group,) = await queue.stats_errors()
        assert (group.type, group.count) == ("Error", 3)

    async def test_losses_and_expiries_have_their_own_types(self, queue, clock):
        await make_job(queue, ttl=1)
        await start_job(queue, "report", lease=1)
        clock.advance(1)
        await sweep(queue)

        assert sorted((group.job_type, group.type) for group in await queue.stats_errors()) == [
            ("email", "Expired"),
            ("report", "LeaseLost"),
        ]

    async def test_cancelled_and_completed_jobs_are_no_errors(self, queue):
        await make_in_state(queue, "cancelled")
        await make_in_state(queue, "complete")

        assert await queue.stats_errors() == []

    async def test_old_failures_fall_out_of_the_window(self, queue, clock):
        await make_in_state(queue, "failed")
        clock.advance(2 * 3600)
        await make_in_state(queue, "failed")

        assert [group.count for group in await queue.stats_errors()] == [2]
        assert [group.count for group in await queue.stats_errors(window=600)] == [1]

    async def test_the_kinds_of_an_hour_are_bounded(self, queue):
        await make_in_state(queue, "failed", "known")
        await queue.enqueue_many([NewJob(job_type="email")] * (MOST_KINDS + 4))
        jobs = [job for _ in range(2) for job in await queue.claim_many(limit=1000)]
        for job in jobs:
            assert await queue.fail(job.id, "boom", lease_token=job.lease_token, type=f"Error {job.id}")
        await make_in_state(queue, "failed", "known")  # one that was known before goes on

        groups = await queue.stats_errors()
        assert len(groups) == MOST_KINDS + 1
        counts = {(group.job_type, group.type): group.count for group in groups}
        assert counts["email", OTHER] == 5
        assert counts["known", "Error"] == 2

    async def test_any_text_may_name_a_kind(self, queue):
        kinds = ["A", "A\0", "", "\\0", "\\e", "A\\", "A\0|\0"]
        for kind in [*kinds, *kinds]:
            job = await start_job(queue)
            assert await queue.fail(job.id, "a|b\0c", lease_token=job.lease_token, type=kind)

        groups = await queue.stats_errors()
        assert {group.type: group.count for group in groups} == dict.fromkeys(kinds, 2)
        assert {group.last_message for group in groups} == {"a|b\0c"}
