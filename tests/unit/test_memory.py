"""What only the memory backend has: a bound on finished jobs, and heaps that stay small."""

from __future__ import annotations

import pytest

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.backends.memory.indexes import LazyHeap
from tests.support.clock import ManualClock
from tests.support.jobs import claim_job, log_of, make_in_state, start_job


def test_jobs_in_memory_survive_nothing():
    assert MemoryBackend().durability == "none"


async def test_the_longest_finished_jobs_go_beyond_the_bound():
    async with JobQueue(MemoryBackend(max_finished=3)) as queue:
        ids = [(await make_in_state(queue, "complete")).id for _ in range(5)]

        assert [job is not None for job in await queue.get_many(ids)] == [False, False, True, True, True]
        assert await queue.counts() == {"email": {"complete": 3}}


async def test_live_jobs_are_not_bounded():
    async with JobQueue(MemoryBackend(max_finished=1)) as queue:
        running = await start_job(queue)
        for _ in range(5):
            await make_in_state(queue, "complete", "report")

        assert await queue.complete(running.id)


async def test_a_retried_job_is_not_finished():
    async with JobQueue(MemoryBackend(max_finished=2)) as queue:
        retried = await make_in_state(queue, "failed")
        await queue.retry(retried.id)
        for _ in range(3):
            await make_in_state(queue, "complete", "report")

        assert (await claim_job(queue)).id == retried.id


async def test_fewer_updates_may_be_kept():
    async with JobQueue(MemoryBackend(updates_kept=2)) as queue:
        job = await start_job(queue)
        for n in range(1, 5):
            await queue.update(job.id, n / 10)

        assert [update.progress for update in await log_of(queue, job.id)] == [0.3, 0.4]


async def test_heartbeats_and_releases_leave_nothing_behind():
    clock = ManualClock()
    async with JobQueue(MemoryBackend(clock=clock)) as queue:
        await queue.enqueue("email")
        for _ in range(5000):
            job = await claim_job(queue, lease=10)
            clock.advance(1)
            await queue.heartbeat([(job.id, job.lease_token)])
            await queue.release(job.id, lease_token=job.lease_token)
        backend = queue.backend

        assert len(backend._jobs._leases) < 2500


class TestLazyHeap:
    @pytest.fixture
    def valid(self) -> set[int]:
        return {5, 3, 9}

    @pytest.fixture
    def heap(self, valid) -> LazyHeap:
        return LazyHeap(lambda entry: entry in valid, lambda: len(valid))

    def test_the_first_valid_entry_is_on_top(self, heap, valid):
        for entry in (9, 1, 5, 3, 2):
            heap.push(entry)

        assert heap.peek() == 3
        valid.remove(3)
        assert heap.peek() == 5

    def test_the_top_is_taken(self, heap):
        for entry in (9, 5, 3):
            heap.push(entry)
        heap.peek()

        assert [heap.pop(), heap.pop(), heap.pop()] == [3, 5, 9]
        assert heap.peek() is None

    def test_stale_entries_do_not_pile_up(self, heap):
        for entry in range(100, 20_000):
            heap.push(entry)
            heap.push(9)

        assert len(heap) < 1100
        assert heap.peek() == 9
