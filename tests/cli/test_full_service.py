"""The command at a service that has no room for another request that waits."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import JobUpdate
from jdobb_service.cli.clients.http import HttpClient
from jdobb_service.cli.clients.streams import MOST
from tests.support.serving import serving
from tests.support.waiting import WITHIN, eventually


async def test_a_wait_goes_on_by_asking_again():
    async with serving(max_streams=1) as service:
        job_id, other = await service.new_job(), await service.new_job()
        first = asyncio.create_task(service.client.get(f"/jobs/{other}?wait=30"))
        await eventually(lambda: service.state.waits.taken == 1)
        client = HttpClient(service.url, None)
        waiting = asyncio.create_task(client.wait(job_id, WITHIN))
        await service.queue.complete(job_id, {"n": 1})
        assert (await waiting).results == {"n": 1}
        await service.queue.cancel(other)
        await first
        await client.close()


async def test_a_wait_that_is_too_long_ends_by_its_own_time():
    async with serving(max_streams=1) as service:
        job_id = await service.new_job()
        first = asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=30"))
        await eventually(lambda: service.state.waits.taken == 1)
        client = HttpClient(service.url, None)
        with pytest.raises(TimeoutError, match="still pending"):
            await client.wait(job_id, 0.1)
        await service.queue.cancel(job_id)
        await first
        await client.close()


async def test_several_jobs_are_watched_on_one_stream_however_little_room_there_is():
    async with serving(max_streams=1) as service:
        jobs = [await service.new_job() for _ in range(3)]
        client = HttpClient(service.url, None)
        seen: list[JobUpdate] = []

        async def watch() -> None:
            async for update in client.updates(jobs):
                seen.append(update)  # noqa: PERF401 - the test looks at it meanwhile

        watching = asyncio.create_task(watch())
        await eventually(lambda: len(seen) == len(jobs))
        for job_id in jobs:
            await service.queue.cancel(job_id)
        await watching
        assert sorted(update.job_id for update in seen[len(jobs) :]) == sorted(jobs)
        assert [update.status for update in seen] == ["pending"] * len(jobs) + ["cancelled"] * len(jobs)
        await client.close()


async def test_more_jobs_than_one_stream_takes_are_watched_on_several():
    async with serving() as service:
        jobs = [await service.new_job() for _ in range(MOST + 1)]
        for job_id in jobs:
            await service.queue.cancel(job_id)
        client = HttpClient(service.url, None)
        assert sorted([update.job_id async for update in client.updates(jobs)]) == sorted(jobs)
        await client.close()
