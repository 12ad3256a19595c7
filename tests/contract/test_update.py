"""Progress, heartbeats and custom updates: what happens to a job while it runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jdobb_async_queue import Broadcaster, JobNotFound, JobStatus, RetryPolicy
from jdobb_async_queue.backends.base import PAGE_BYTES, LeaseRef
from jdobb_async_queue.transitions import Transition
from tests.support.jobs import claim_job, get_job, log_of, make_job, start_job


class TestProgress:
    async def test_progress_and_message_are_stored(self, queue, clock):
        job = await start_job(queue)
        clock.advance(1)

        assert await queue.update(job.id, progress=0.5, message="half", lease_token=job.lease_token)

        after = await get_job(queue, job.id)
        assert (after.progress, after.message, after.updated_at) == (0.5, "half", clock.time)
        assert after.version == job.version + 1

    async def test_progress_is_an_update(self, queue):
        job = await start_job(queue)

        await queue.update(job.id, 0.5, "half")

        last = (await log_of(queue, job.id))[-1]
        assert (last.kind, last.status, last.progress, last.message) == (
            "progress",
            JobStatus.PROCESSING,
            0.5,
            "half",
        )
        assert not last.is_terminal

    async def test_progress_never_goes_backwards(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.5)
        before = await queue.get(job.id)

        assert await queue.update(job.id, 0.3)

        assert await queue.get(job.id) == before

    async def test_a_lower_progress_does_not_hide_its_message(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")

        assert await queue.update(job.id, 0.3, "looking again")

        after = await get_job(queue, job.id)
        assert (after.progress, after.message) == (0.5, "looking again")
        assert (await log_of(queue, job.id))[-1].progress == 0.5

    async def test_a_message_alone_keeps_the_progress(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")

        await queue.update(job.id, message="three quarters soon")

        after = await get_job(queue, job.id)
        assert (after.progress, after.message) == (0.5, "three quarters soon")

    async def test_progress_alone_keeps_the_message(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")

        await queue.update(job.id, 0.6)

        assert (await get_job(queue, job.id)).message == "half"

    async def test_saying_the_same_again_publishes_nothing(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")
        before, log = await queue.get(job.id), await log_of(queue, job.id)

        assert await queue.update(job.id, 0.5, "half", lease_token=job.lease_token)

        assert await queue.get(job.id) == before
        assert await log_of(queue, job.id) == log

    async def test_an_update_that_says_nothing_changes_nothing(self, queue):
        job = await start_job(queue)
        before = await queue.get(job.id)

        assert await queue.update(job.id)

        assert await queue.get(job.id) == before

    @pytest.mark.parametrize("progress", [0, 1, 0.0, 1.0])
    async def test_the_bounds_are_progress_too(self, queue, progress):
        job = await start_job(queue)

        assert await queue.update(job.id, progress)

        assert (await get_job(queue, job.id)).progress == progress

    async def test_full_progress_does_not_complete_a_job(self, queue):
        job = await start_job(queue)

        await queue.update(job.id, 1.0)

        assert (await get_job(queue, job.id)).status is JobStatus.PROCESSING

    async def test_progress_starts_at_nothing_in_a_new_attempt_and_may_be_lower_there(self, queue):
        job = await start_job(queue, retry=RetryPolicy(max_attempts=2, base=0))
        await queue.update(job.id, 0.9, lease_token=job.lease_token)
        await queue.fail(job.id, "boom", lease_token=job.lease_token)
        again = await claim_job(queue)

        await queue.update(job.id, 0.1, lease_token=again.lease_token)

        assert (await get_job(queue, job.id)).progress == 0.1

    async def test_a_pending_job_may_be_updated_by_hand(self, queue):
        job = await make_job(queue)

        assert await queue.update(job.id, 0.2, "queued behind 3")

        after = await get_job(queue, job.id)
        assert (after.status, after.progress, after.message) == (JobStatus.PENDING, 0.2, "queued behind 3")


class TestLease:
    async def test_an_update_with_the_token_renews_the_lease(self, queue, clock):
        job = await start_job(queue, lease=10)
        clock.advance(9)

        await queue.update(job.id, 0.5, lease_token=job.lease_token)

        clock.advance(9)
        assert await queue.claim() is None
        assert (await get_job(queue, job.id)).status is JobStatus.PROCESSING
        clock.advance(1)
        assert (await claim_job(queue)).losses == 1

    async def test_an_update_that_changes_nothing_renews_too(self, queue, clock):
        job = await start_job(queue, lease=10)
        clock.advance(9)

        await queue.update(job.id, lease_token=job.lease_token)

        clock.advance(9)
        assert await queue.claim() is None

    async def test_an_update_by_hand_renews_nothing(self, queue, clock):
        job = await start_job(queue, lease=10)
        clock.advance(9)

        await queue.update(job.id, 0.5)

        clock.advance(1)
        assert (await claim_job(queue)).losses == 1

    async def test_a_heartbeat_renews_a_lease_for_its_own_length(self, queue, clock):
        job = await start_job(queue, lease=10)
        clock.advance(9)

        (state,) = await queue.heartbeat([(job.id, job.lease_token)])

        assert (state.job_id, state.status, state.expires_in) == (job.id, "ok", 10)
        clock.advance(9.999)
        assert await queue.claim() is None
        clock.advance(0.001)
        assert (await claim_job(queue)).losses == 1

    async def test_every_lease_of_a_heartbeat_gets_its_answer_in_order(self, queue, clock):
        short, long, gone = [await start_job(queue, lease=lease) for lease in (10, 20, 30)]
        await queue.cancel(gone.id)
        clock.advance(5)

        states = await queue.heartbeat(
            [
                (gone.id, gone.lease_token),
                (long.id, long.lease_token),
                ("nobody", "nothing"),
                (short.id, short.lease_token),
                (short.id, long.lease_token),
            ]
        )

        assert [(state.job_id, state.status, state.expires_in) for state in states] == [
            (gone.id, "cancelled", 0),
            (long.id, "ok", 20),
            ("nobody", "lost", 0),
            (short.id, "ok", 10),
            (short.id, "lost", 0),
        ]

    async def test_a_heartbeat_of_nothing_answers_nothing(self, queue):
        assert await queue.heartbeat([]) == []

    async def test_a_heartbeat_does_not_take_back_a_lost_lease(self, queue, clock):
        lost = await start_job(queue, lease=1)
        clock.advance(1)
        current = await claim_job(queue)

        assert [state.status for state in await queue.heartbeat([(lost.id, lost.lease_token)])] == ["lost"]

        assert await queue.complete(lost.id, lease_token=current.lease_token)

    async def test_a_heartbeat_saves_a_lease_that_ran_out_but_was_not_taken_away(self, queue, clock):
        job = await start_job(queue, lease=1)
        clock.advance(5)

        (state,) = await queue.heartbeat([(job.id, job.lease_token)])

        assert (state.status, state.expires_in) == ("ok", 1)
        assert await queue.claim() is None

    async def test_looking_at_a_lease_does_not_renew_it(self, queue, clock):
        job = await start_job(queue, lease=10)
        clock.advance(4)

        (answer,) = await queue.backend.heartbeat([LeaseRef(job.id, job.lease_token, extend=False)])

        assert (answer.status, answer.expires_in) == ("ok", 6000)
        clock.advance(6)
        assert (await claim_job(queue)).losses == 1


class TestVersion:
    async def test_each_visible_change_makes_the_version_grow(self, queue, clock):
        job = await make_job(queue, max_attempts=2, max_lost=5)
        versions = [job.version]

        async def note() -> None:
            versions.append((await get_job(queue, job.id)).version)

        job = await claim_job(queue, lease=1)
        await note()
        await queue.update(job.id, 0.5)
        await note()
        await queue.release(job.id, lease_token=job.lease_token)
        await note()
        await claim_job(queue, lease=1)
        await note()
        clock.advance(1)
        job = await claim_job(queue)  # rescued, and started again
        await note()
        await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=0)
        await note()
        await queue.cancel(job.id)
        await note()
        await queue.retry(job.id)
        await note()
        await queue.complete(job.id)
        await note()

        assert versions == sorted(set(versions))

    async def test_renewals_custom_updates_and_logs_do_not_change_the_job(self, queue, clock):
        job = await start_job(queue, lease=10)
        before = await queue.get(job.id)
        clock.advance(1)

        await queue.heartbeat([(job.id, job.lease_token)])
        await Broadcaster(queue).send(job.id, 0.9, "hello", {"rows": 3})
        await queue.backend.apply([Transition.log(job.id, "a line", lease_token=job.lease_token)])

        assert await queue.get(job.id) == before


class TestCustomUpdates:
    async def test_a_custom_update_reaches_the_log_and_leaves_the_job_alone(self, queue, clock):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")
        clock.advance(1)

        assert await Broadcaster(queue).send(job.id, progress=0.2, message="rows", data={"rows": [1, 2]})

        last = (await log_of(queue, job.id))[-1]
        assert (last.kind, last.status, last.progress, last.message) == (
            "custom",
            JobStatus.PROCESSING,
            0.2,
            "rows",
        )
        assert last.data == last.results == {"rows": [1, 2]}
        assert last.timestamp == clock.time
        assert (await get_job(queue, job.id)).progress == 0.5

    async def test_what_a_custom_update_leaves_out_is_the_jobs(self, queue):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")

        await Broadcaster(queue).send(job.id)

        last = (await log_of(queue, job.id))[-1]
        assert (last.kind, last.progress, last.message, last.data) == ("custom", 0.5, "half", None)

    async def test_a_custom_update_of_an_unknown_or_terminal_job_is_refused(self, queue):
        job = await start_job(queue)
        await queue.complete(job.id)

        assert not await Broadcaster(queue).send(job.id, message="too late")
        assert not await Broadcaster(queue).send("nobody", message="hello")

    async def test_log_lines_are_kept_one_by_one(self, queue):
        job = await start_job(queue)

        await queue.backend.apply(
            [Transition.log(job.id, f"line {n % 2}", lease_token=job.lease_token) for n in range(4)]
        )

        lines = [update for update in await log_of(queue, job.id) if update.kind == "log"]
        assert [line.message for line in lines] == ["line 0", "line 1", "line 0", "line 1"]
        assert (await get_job(queue, job.id)).message is None

    async def test_a_reading_takes_a_bounded_part_of_a_log_of_large_updates_and_at_least_one(self, queue):
        job = await start_job(queue)
        for n in range(12):
            await Broadcaster(queue).send(job.id, message=f"{n:02}" + "x" * 9_900)
        await Broadcaster(queue).send(job.id, data={"large": "x" * 2 * PAGE_BYTES})
        await queue.complete(job.id)

        found, page = [], await log_of(queue, job.id)
        while page:
            assert len(page) == 1 or sum(len(update.message or "") for update in page) <= PAGE_BYTES
            found += page
            page = await log_of(queue, job.id, found[-1].seq)

        sent = [int(update.message[:2]) for update in found if update.kind == "custom" and not update.data]
        assert sent == list(range(12))
        assert [len(update.data["large"]) for update in found if update.data] == [2 * PAGE_BYTES]
        assert (found[0].status, found[-1].status) == ("processing", "complete")

    async def test_seqs_strictly_grow_and_fit_a_double(self, queue, clock):
        job = await start_job(queue)
        for n in range(5):
            await queue.update(job.id, n / 10)
            await Broadcaster(queue).send(job.id, message=f"{n}")
            clock.advance(n % 2)
        await queue.complete(job.id)

        seqs = [update.seq for update in await log_of(queue, job.id)]

        assert seqs == sorted(set(seqs))
        assert seqs[0] > 0
        assert seqs[-1] < 2**53


async def test_a_lease_may_be_a_tenth_of_a_second_to_a_day(queue, clock):
    for lease in (0.1, 86_400):
        job = await start_job(queue, lease=lease)
        assert job.lease_expires_at == clock.time + timedelta(seconds=lease)
    for lease in (0.099, 86_400.001, 0, -1):
        with pytest.raises(ValueError, match="lease"):
            await queue.claim(lease=lease)


class TestReport:
    """Progress by whoever holds the lease, who learns how the lease stands."""

    async def test_it_stores_progress_and_renews_the_lease(self, queue, clock):
        job = await start_job(queue, lease=10)
        clock.advance(9)

        state = await queue.report(job.id, 0.5, "half", lease_token=job.lease_token)

        assert (state.job_id, state.status, state.expires_in) == (job.id, "ok", 10.0)
        after = await get_job(queue, job.id)
        assert (after.progress, after.message) == (0.5, "half")
        clock.advance(9)
        assert await queue.claim() is None

    async def test_with_nothing_to_say_it_renews_the_lease_alone(self, queue, clock):
        job = await start_job(queue, lease=10)
        before = await get_job(queue, job.id)
        clock.advance(9)

        assert (await queue.report(job.id, lease_token=job.lease_token)).status == "ok"

        clock.advance(9)
        assert await queue.claim() is None
        assert await get_job(queue, job.id) == before

    async def test_a_cancelled_job_is_told_from_a_lost_lease(self, queue, clock):
        cancelled = await start_job(queue)
        await queue.cancel(cancelled.id)
        lost = await start_job(queue, lease=1)
        clock.advance(2)
        again = await claim_job(queue)
        assert again.id == lost.id

        states = [
            await queue.report(job.id, 0.9, "late", lease_token=job.lease_token) for job in (cancelled, lost)
        ]

        assert [(state.status, state.expires_in) for state in states] == [("cancelled", 0.0), ("lost", 0.0)]
        assert [(await get_job(queue, job.id)).message for job in (cancelled, lost)] == [None, None]

    async def test_a_foreign_token_of_a_cancelled_job_is_lost(self, queue):
        job = await start_job(queue)
        await queue.cancel(job.id)

        assert (await queue.report(job.id, 0.9, lease_token="somebody-elses")).status == "lost"

    async def test_a_settled_job_has_no_lease(self, queue):
        job = await start_job(queue)
        await queue.complete(job.id, lease_token=job.lease_token)

        assert (await queue.report(job.id, 0.9, lease_token=job.lease_token)).status == "lost"

    async def test_an_unknown_job_is_not_found(self, queue):
        with pytest.raises(JobNotFound):
            await queue.report("nobody", 0.5, lease_token="any")
