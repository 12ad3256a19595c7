"""Watching many jobs at once: given ones from given points, or all of some types from now on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jdobb_async_queue import Broadcaster, JobQueue, JobUpdate
from jdobb_async_queue.backends.base import UPDATES_KEPT
from jdobb_async_queue.feeds import BACKLOG
from tests.support.jobs import make_job, start_job
from tests.support.waiting import WITHIN

Item = tuple[str, JobUpdate | None]


async def collect(items: AsyncIterator[Item]) -> dict[str, list[int | None]]:
    """Read to the end; return the seqs of each job, None for its end."""
    found: dict[str, list[int | None]] = {}

    async def read() -> None:
        async for job_id, update in items:
            found.setdefault(job_id, []).append(None if update is None else update.seq)

    await asyncio.wait_for(read(), WITHIN)
    return found


async def seqs(queue: JobQueue, job_id: str, after: int = 0) -> list[int | None]:
    return [update.seq async for update in Broadcaster(queue).subscribe(job_id, after=after)]


async def steps(queue: JobQueue, job_id: str, count: int) -> None:
    for number in range(count):
        await Broadcaster(queue).send(job_id, message=str(number))


class TestGivenJobs:
    async def test_each_job_is_watched_to_its_end(self, queue, waits):
        ids = [(await make_job(queue)).id for _ in range(20)]
        watching = asyncio.ensure_future(collect(Broadcaster(queue).subscribe_many(dict.fromkeys(ids, 0))))
        await waits.begun()
        for number, job_id in enumerate(ids):
            await steps(queue, job_id, number % 4)
            await queue.complete(job_id, {"n": number})

        found = await watching
        assert found == {job_id: [*await seqs(queue, job_id), None] for job_id in ids}

    async def test_each_job_goes_on_from_its_own_place(self, queue):
        ids = [(await make_job(queue)).id for _ in range(3)]
        for job_id in ids:
            await steps(queue, job_id, 5)
            await queue.complete(job_id)
        everything = {job_id: await seqs(queue, job_id) for job_id in ids}
        places = {job_id: everything[job_id][number * 2] for number, job_id in enumerate(ids)}

        found = await collect(Broadcaster(queue).subscribe_many(places))
        assert found == {
            job_id: [*everything[job_id][number * 2 + 1 :], None] for number, job_id in enumerate(ids)
        }

    async def test_nothing_follows_for_unknown_and_ended_jobs(self, queue):
        job = await start_job(queue)
        await queue.complete(job.id)
        (last,) = (await seqs(queue, job.id))[-1:]
        found = await collect(Broadcaster(queue).subscribe_many({"unknown": 0, job.id: last}))
        assert found == {"unknown": [None], job.id: [None]}

    async def test_no_jobs_end_at_once(self, queue):
        assert await collect(Broadcaster(queue).subscribe_many({})) == {}

    async def test_a_removed_job_has_ended_and_the_others_go_on(self, queue, waits):
        gone, other = await make_job(queue), await make_job(queue)
        await queue.cancel(gone.id)
        await queue.retry(gone.id)
        at = (await Broadcaster(queue).snapshot(gone.id)).seq
        watching = asyncio.ensure_future(
            collect(Broadcaster(queue).subscribe_many({gone.id: at, other.id: 0}))
        )
        await waits.begun()
        await queue.cancel(gone.id)
        await queue.delete(gone.id)
        await queue.complete(other.id)
        found = await watching
        assert found[gone.id][-1] is None
        assert found[other.id] == [*await seqs(queue, other.id), None]

    async def test_trimmed_updates_are_a_gap(self, queue):
        job = await make_job(queue)
        await steps(queue, job.id, UPDATES_KEPT + 5)
        updates = Broadcaster(queue).subscribe_many({job.id: 1})
        _, first = await anext(updates)
        await updates.aclose()
        assert first.gap
        assert first.seq == (await Broadcaster(queue).snapshot(job.id)).seq

    async def test_a_place_that_is_none_is_refused(self, queue):
        with pytest.raises(ValueError, match="after"):
            await anext(Broadcaster(queue).subscribe_many({"a": -1}))


class TestJobTypes:
    async def test_a_follower_sees_every_update_of_its_types(self, queue, clock, follow):
        clock.advance(10)
        mail, report = await follow("mail"), await follow("mail", "report")
        letter, paper = await make_job(queue, "mail"), await make_job(queue, "report")
        other = await make_job(queue, "other")
        for job in (letter, other, paper):
            await steps(queue, job.id, 3)
            await queue.complete(job.id, {"done": True})

        assert (await mail.until_ended(1)) == {letter.id: await seqs(queue, letter.id)}
        assert (await report.until_ended(2)) == {
            letter.id: await seqs(queue, letter.id),
            paper.id: await seqs(queue, paper.id),
        }

    async def test_a_later_follower_sees_nothing_from_before(self, queue, clock, follow):
        clock.advance(10)
        job = await make_job(queue, "mail")
        first = await follow("mail")
        await steps(queue, job.id, 3)
        await first.read(3)
        clock.advance(10)
        before = (await Broadcaster(queue).snapshot(job.id)).seq
        second = await follow("mail")
        await queue.complete(job.id)
        assert await second.until_ended(1) == {job.id: await seqs(queue, job.id, before)}

    async def test_a_follower_that_takes_nothing_is_told_of_a_gap(self, queue, clock, follow):
        clock.advance(10)
        reader, sleeper = await follow("mail"), await follow("mail")
        jobs = [await make_job(queue, "mail") for _ in range(BACKLOG // 100 + 1)]
        for job in jobs:
            for _ in range(100):
                await Broadcaster(queue).send(job.id)
            await reader.read(100)
        await queue.complete(jobs[-1].id)
        await reader.until_ended(1)
        assert await anext(sleeper.updates) is None
        kept = await sleeper.until_ended(1)
        assert sum(len(found) for found in kept.values()) <= BACKLOG

    async def test_the_reader_rests_when_nobody_follows(self, queue, clock, follow):
        follower = await follow("mail")
        assert queue.backend._bells._bells.keys() >= {"job:*"}
        await follower.updates.aclose()
        assert "job:*" not in queue.backend._bells._bells


class Following:
    """A follower, which has been told that it is live."""

    def __init__(self, updates: AsyncIterator[JobUpdate | None]) -> None:
        self.updates = updates

    async def read(self, count: int) -> list[JobUpdate]:
        """Read so many updates."""
        found: list[JobUpdate] = []
        while len(found) < count:
            update = await asyncio.wait_for(anext(self.updates), WITHIN)
            if update is not None:
                found.append(update)
        return found

    async def until_ended(self, jobs: int) -> dict[str, list[int | None]]:
        """Read until so many jobs have ended, and return the seqs of each."""
        found: dict[str, list[int | None]] = {}
        while jobs:
            (update,) = await self.read(1)
            found.setdefault(update.job_id, []).append(update.seq)
            jobs -= update.is_terminal
        return found


@pytest.fixture
async def follow(queue: JobQueue):
    """Return a maker of followers of one broadcaster; it returns when they miss nothing any more."""
    broadcaster = Broadcaster(queue)
    made: list[AsyncIterator[JobUpdate | None]] = []

    async def make(*job_types: str) -> Following:
        updates = broadcaster.follow(job_types)
        made.append(updates)
        assert await anext(updates) is None
        if queue.backend.name == "redis" and len(made) == 1:
            assert await anext(updates) is None  # subscribed
        return Following(updates)

    yield make
    for updates in made:
        await updates.aclose()
