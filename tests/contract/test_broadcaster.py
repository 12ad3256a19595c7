"""Watching: every update of a job once, in order, from any point."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from jdobb_async_queue import (
    Broadcaster,
    JobNotFound,
    JobQueue,
    JobStatus,
    JobUpdate,
    QueueClosed,
    RetryPolicy,
)
from jdobb_async_queue.backends.base import UPDATES_KEPT
from jdobb_async_queue.transitions import Transition
from tests.support.jobs import claim_job, get_job, log_of, make_in_state, make_job, start_job, sweep
from tests.support.waiting import WITHIN


async def collect(updates: AsyncIterator[JobUpdate]) -> list[JobUpdate]:
    """Read updates to their end."""

    async def read() -> list[JobUpdate]:
        return [update async for update in updates]

    return await asyncio.wait_for(read(), WITHIN)


def watch(queue: JobQueue, job_id: str, **options) -> asyncio.Task[list[JobUpdate]]:
    return asyncio.ensure_future(collect(Broadcaster(queue).subscribe(job_id, **options)))


def kinds(updates: list[JobUpdate]) -> list[tuple[str, str]]:
    return [(update.kind, update.status.value) for update in updates]


class TestLive:
    async def test_a_watcher_sees_what_is_published_from_now_on(self, queue, waits):
        job = await start_job(queue)
        await queue.update(job.id, 0.1)
        watching = watch(queue, job.id)
        await waits.begun()

        await queue.update(job.id, 0.5, "half")
        await queue.complete(job.id, {"sent": 1})

        progress, done = await watching
        assert (progress.kind, progress.progress, progress.message) == ("progress", 0.5, "half")
        assert (done.status, done.results, done.job_id) == (JobStatus.COMPLETE, {"sent": 1}, job.id)

    @pytest.mark.parametrize(
        ("verb", "arguments", "status"),
        [("complete", (), "complete"), ("fail", ("boom",), "failed"), ("cancel", (), "cancelled")],
    )
    async def test_the_watch_ends_with_the_terminal_update(self, queue, waits, verb, arguments, status):
        job = await start_job(queue)
        watching = watch(queue, job.id)
        await waits.begun()

        await getattr(queue, verb)(job.id, *arguments)

        assert kinds(await watching) == [("status", status)]

    async def test_a_watcher_sees_the_whole_life_of_a_job(self, queue, clock, waits):
        job = await make_job(queue, retry=RetryPolicy(max_attempts=3, base=0), max_lost=5)
        watching = watch(queue, job.id)
        await waits.begun()

        claimed = await claim_job(queue)
        await queue.fail(job.id, "boom", lease_token=claimed.lease_token)
        claimed = await claim_job(queue)
        await queue.release(job.id, lease_token=claimed.lease_token)
        await claim_job(queue, lease=1)
        clock.advance(1)
        await sweep(queue)
        await queue.cancel(job.id, "enough")

        updates = await watching
        assert [(update.status.value, update.attempt) for update in updates] == [
            ("processing", 1),
            ("pending", 1),
            ("processing", 2),
            ("pending", 2),
            ("processing", 3),
            ("pending", 3),
            ("cancelled", 3),
        ]

    async def test_every_watcher_sees_everything(self, queue, waits):
        job = await start_job(queue)
        broadcaster = Broadcaster(queue)
        watching = [asyncio.ensure_future(collect(broadcaster.subscribe(job.id))) for _ in range(5)]
        await waits.begun(5)

        for n in range(1, 10):
            await queue.update(job.id, n / 10)
        await queue.complete(job.id)

        first, *others = [await task for task in watching]
        assert len(first) == 10
        assert all(other == first for other in others)

    async def test_an_update_arrives_at_once(self, queue, waits):
        job = await start_job(queue)
        updates = Broadcaster(queue).subscribe(job.id)
        following = asyncio.ensure_future(anext(updates))
        await waits.begun()
        loop = asyncio.get_running_loop()
        began = loop.time()

        await queue.update(job.id, 0.5)

        assert (await asyncio.wait_for(following, WITHIN)).progress == 0.5
        assert loop.time() - began < 0.9  # well before the safety look at one second
        await updates.aclose()

    async def test_custom_updates_and_logs_arrive_between_the_others(self, queue, waits):
        job = await start_job(queue)
        watching = watch(queue, job.id)
        await waits.begun()

        await queue.update(job.id, 0.5)
        await Broadcaster(queue).send(job.id, data={"rows": 3})
        await queue.backend.apply([Transition.log(job.id, "a line", lease_token=job.lease_token)])
        await queue.complete(job.id)

        updates = await watching
        assert [update.kind for update in updates] == ["progress", "custom", "log", "status"]
        assert updates[1].data == {"rows": 3}
        assert updates[2].message == "a line"

    async def test_a_watch_of_a_job_that_is_removed_ends(self, queue, waits):
        job = await start_job(queue)
        broadcaster = Broadcaster(queue)
        updates = broadcaster.subscribe(job.id)
        following = asyncio.ensure_future(anext(updates))
        await waits.begun()
        await queue.cancel(job.id)
        assert (await following).status is JobStatus.CANCELLED
        await queue.delete(job.id)

        assert await collect(updates) == []

    async def test_closing_the_queue_ends_a_watch(self, queue, waits):
        job = await start_job(queue)
        watching = watch(queue, job.id)
        await waits.begun()

        await queue.close()

        with pytest.raises(QueueClosed):
            await watching

    async def test_a_watcher_that_leaves_disturbs_nobody(self, queue, waits):
        job = await start_job(queue)
        leaving, staying = watch(queue, job.id), watch(queue, job.id)
        await waits.begun(2)

        leaving.cancel()
        await asyncio.wait([leaving])
        await queue.complete(job.id)

        assert kinds(await staying) == [("status", "complete")]

    async def test_a_watcher_that_leaves_as_the_queue_closes_leaves_no_error_unheard(self, queue):
        unheard = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        job = await start_job(queue)

        async def leave_in_the_first_reading():
            asyncio.current_task().cancel()
            try:
                await anext(Broadcaster(queue).subscribe(job.id))
            finally:
                await queue.close()

        await asyncio.wait([asyncio.ensure_future(leave_in_the_first_reading())], timeout=WITHIN)
        await asyncio.sleep(0)

        gc.collect()
        assert unheard == []


class TestTerminal:
    @pytest.mark.parametrize("state", ["complete", "failed", "cancelled"])
    async def test_a_terminal_job_yields_its_final_update_and_ends(self, queue, state):
        job = await make_in_state(queue, state)
        last = (await log_of(queue, job.id))[-1]

        (final,) = await collect(Broadcaster(queue).subscribe(job.id))

        assert (final.status.value, final.seq, final.gap) == (state, last.seq, False)
        assert (final.results, final.error) == (job.results, job.error)

    async def test_after_its_last_update_a_terminal_job_yields_nothing(self, queue):
        job = await make_in_state(queue, "complete")
        last = (await log_of(queue, job.id))[-1].seq

        for after in (last, last + 1, 2**53 - 1):
            assert await collect(Broadcaster(queue).subscribe(job.id, after=after)) == []

    async def test_an_unknown_job_is_not_found(self, queue):
        broadcaster = Broadcaster(queue)

        for after in (None, 0, 5):
            with pytest.raises(JobNotFound) as missing:
                await collect(broadcaster.subscribe("nobody", after=after))
            assert missing.value.job_id == "nobody"


class TestReadings:
    async def test_logs_read_together_are_as_each_alone(self, queue):
        job, other = await make_in_state(queue, "complete"), await start_job(queue)
        places = [(job.id, 0), ("nobody", 0), (other.id, 0), (job.id, 2**53 - 1)]

        together = await queue.backend.read_many_updates(places)

        assert together == [await queue.backend.read_updates(*place) for place in places]

    async def test_watchers_at_one_place_share_a_reading(self, queue, waits, monkeypatch):
        job = await start_job(queue)
        broadcaster = Broadcaster(queue)
        watching = [asyncio.ensure_future(collect(broadcaster.subscribe(job.id))) for _ in range(5)]
        await waits.begun(5)
        read, asked = queue.backend.read_many_updates, []

        async def noted(places):
            asked.append(places)
            return await read(places)

        monkeypatch.setattr(queue.backend, "read_many_updates", noted)
        await queue.complete(job.id)

        assert [kinds(await task) for task in watching] == [[("status", "complete")]] * 5
        assert all(len(places) == 1 for places in asked)


class TestAfter:
    async def test_the_past_is_replayed_and_then_the_present_goes_on(self, queue, waits):
        job = await start_job(queue)
        await queue.update(job.id, 0.5)
        watching = watch(queue, job.id, after=0)
        await waits.begun()

        await queue.complete(job.id)

        assert kinds(await watching) == [
            ("status", "processing"),
            ("progress", "processing"),
            ("status", "complete"),
        ]

    async def test_from_any_point_each_later_update_comes_once(self, queue, clock):
        job = await start_job(queue)
        for n in range(1, 10):
            await queue.update(job.id, n / 10)
            clock.advance(n % 3)
        await queue.complete(job.id, {"n": 1})
        whole = await collect(Broadcaster(queue).subscribe(job.id, after=0))
        assert len(whole) == 11

        for position, update in enumerate(whole[:-1]):
            rest = await collect(Broadcaster(queue).subscribe(job.id, after=update.seq))
            assert rest == whole[position + 1 :]

    async def test_reconnecting_after_each_update_misses_none(self, queue):
        job = await start_job(queue)
        broadcaster = Broadcaster(queue)
        seen: list[JobUpdate] = []

        async def flaky_watcher() -> None:
            after = 0
            while True:
                updates = broadcaster.subscribe(job.id, after=after)
                update = await anext(updates)
                await updates.aclose()
                seen.append(update)
                after = update.seq
                if update.is_terminal:
                    return

        watching = asyncio.ensure_future(flaky_watcher())
        for n in range(1, 50):
            await queue.update(job.id, n / 50)
            await asyncio.sleep(0)
        await queue.complete(job.id)
        await asyncio.wait_for(watching, WITHIN)

        assert [update.progress for update in seen] == [0.0, *(n / 50 for n in range(1, 50)), 1.0]
        assert seen == await log_of(queue, job.id)

    async def test_the_snapshot_and_what_follows_have_no_seam(self, queue, waits):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")
        broadcaster = Broadcaster(queue)

        now = await broadcaster.snapshot(job.id)
        await queue.update(job.id, 0.6)
        watching = watch(queue, job.id, after=now.seq)
        await waits.begun()
        await queue.complete(job.id)

        assert (now.progress, now.message, now.status) == (0.5, "half", JobStatus.PROCESSING)
        assert [update.progress for update in await watching] == [0.6, 1.0]

    async def test_the_snapshot_of_a_job_without_updates_has_seq_0(self, queue):
        job = await make_job(queue)

        now = await Broadcaster(queue).snapshot(job.id)

        assert (now.seq, now.status, now.gap) == (0, JobStatus.PENDING, False)

    async def test_an_id_ahead_of_the_log_gives_a_gap(self, queue, waits):
        job = await start_job(queue)
        await queue.update(job.id, 0.5)
        last = (await log_of(queue, job.id))[-1].seq
        watching = watch(queue, job.id, after=last + 1_000_000)
        await waits.begun()
        await queue.complete(job.id)

        gap, done = await watching
        assert (gap.gap, gap.seq, gap.progress) == (True, last, 0.5)
        assert done.status is JobStatus.COMPLETE

    async def test_a_retried_job_goes_on_after_its_earlier_end(self, queue, waits):
        job = await make_in_state(queue, "failed")
        last = (await log_of(queue, job.id))[-1].seq
        await queue.retry(job.id)
        watching = watch(queue, job.id, after=last)
        await waits.begun()

        await claim_job(queue)
        await queue.complete(job.id)

        assert kinds(await watching) == [
            ("status", "pending"),
            ("status", "processing"),
            ("status", "complete"),
        ]


class TestTrimmed:
    async def fill(self, queue: JobQueue, job_id: str, count: int) -> None:
        await queue.backend.apply([Transition.send(job_id, None, f"line {n}", None) for n in range(count)])

    async def test_the_last_updates_of_a_job_are_kept(self, queue):
        job = await start_job(queue)
        await self.fill(queue, job.id, UPDATES_KEPT + 50)

        kept = await log_of(queue, job.id)

        assert len(kept) == UPDATES_KEPT
        assert [kept[0].message, kept[-1].message] == ["line 50", f"line {UPDATES_KEPT + 49}"]

    async def test_just_the_cap_leaves_no_gap(self, queue):
        job = await start_job(queue)
        await self.fill(queue, job.id, UPDATES_KEPT - 2)
        await queue.complete(job.id)

        updates = await collect(Broadcaster(queue).subscribe(job.id, after=0))

        assert len(updates) == UPDATES_KEPT
        assert not any(update.gap for update in updates)

    async def test_where_updates_were_trimmed_one_gap_carries_the_present(self, queue, waits):
        job = await start_job(queue)
        await queue.update(job.id, 0.5, "half")
        await self.fill(queue, job.id, UPDATES_KEPT + 10)
        last = (await log_of(queue, job.id))[-1].seq
        watching = watch(queue, job.id, after=0)
        await waits.begun()
        await queue.complete(job.id)

        gap, done = await watching
        assert (gap.gap, gap.seq, gap.status, gap.progress) == (True, last, JobStatus.PROCESSING, 0.5)
        assert (done.gap, done.status) == (False, JobStatus.COMPLETE)

    async def test_after_the_last_trimmed_one_nothing_is_missing(self, queue):
        job = await start_job(queue)
        started = (await log_of(queue, job.id))[-1].seq
        await self.fill(queue, job.id, UPDATES_KEPT - 1)
        await queue.complete(job.id)

        updates = await collect(Broadcaster(queue).subscribe(job.id, after=started))

        assert len(updates) == UPDATES_KEPT
        assert not any(update.gap for update in updates)

    async def test_a_gap_of_a_terminal_job_is_its_end(self, queue):
        job = await start_job(queue)
        await self.fill(queue, job.id, UPDATES_KEPT + 10)
        await queue.complete(job.id, {"sent": 1})

        (gap,) = await collect(Broadcaster(queue).subscribe(job.id, after=0))

        assert (gap.gap, gap.status, gap.results) == (True, JobStatus.COMPLETE, {"sent": 1})
        assert gap.is_terminal

    async def test_a_slow_watcher_still_gets_the_end(self, queue):
        job = await start_job(queue)
        updates = Broadcaster(queue).subscribe(job.id, after=0)
        assert (await anext(updates)).status is JobStatus.PROCESSING
        await self.fill(queue, job.id, UPDATES_KEPT + 10)
        await queue.complete(job.id)

        rest = await collect(updates)

        assert [(update.gap, update.status) for update in rest] == [(True, JobStatus.COMPLETE)]


class TestWithTimeout:
    async def test_updates_come_as_from_subscribe(self, queue):
        job = await start_job(queue)
        updates = Broadcaster(queue).subscribe_with_timeout(job.id, WITHIN)
        reading = asyncio.ensure_future(collect(updates))
        await asyncio.sleep(0)
        await queue.complete(job.id)

        assert [update.status for update in await reading] == [JobStatus.COMPLETE]

    async def test_silence_is_a_timeout(self, queue):
        job = await start_job(queue)

        with pytest.raises(TimeoutError):
            await collect(Broadcaster(queue).subscribe_with_timeout(job.id, 0.05))

    async def test_an_unknown_job_is_not_found(self, queue):
        with pytest.raises(JobNotFound):
            await collect(Broadcaster(queue).subscribe_with_timeout("nobody", 60))


class TestSend:
    @pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan"), float("inf")])
    async def test_a_progress_out_of_bounds_is_refused(self, queue, progress):
        job = await start_job(queue)

        with pytest.raises(ValueError, match="progress"):
            await Broadcaster(queue).send(job.id, progress)

    @pytest.mark.parametrize("data", [[1], "text", 5])
    async def test_data_must_be_an_object(self, queue, data):
        job = await start_job(queue)

        with pytest.raises(TypeError, match="data"):
            await Broadcaster(queue).send(job.id, data=data)

    async def test_a_sent_update_does_not_end_a_watch(self, queue, waits):
        job = await start_job(queue)
        watching = watch(queue, job.id)
        await waits.begun()

        await Broadcaster(queue).send(job.id, 1.0, "all but done")
        await queue.complete(job.id)

        assert kinds(await watching) == [("custom", "processing"), ("status", "complete")]

    async def test_what_is_sent_is_a_copy(self, queue):
        job = await start_job(queue)
        data = {"rows": [1]}
        await Broadcaster(queue).send(job.id, data=data)
        data["rows"].append(2)
        (await log_of(queue, job.id))[-1].data["rows"].append(3)

        assert (await log_of(queue, job.id))[-1].data == {"rows": [1]}


async def test_the_updates_of_a_reused_id_start_anew_with_higher_seqs(queue, clock):
    job = await make_in_state(queue, "complete", job_id="a")
    last = (await log_of(queue, job.id))[-1].seq
    await queue.delete("a")
    clock.advance(0.001)

    await queue.enqueue("email", job_id="a")
    await claim_job(queue)

    (update,) = await log_of(queue, "a")
    assert update.seq > last
    assert (await get_job(queue, "a")).status is JobStatus.PROCESSING
