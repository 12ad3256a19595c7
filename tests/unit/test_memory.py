"""What only the memory backend has: a bound on finished jobs, and heaps that stay small."""

from __future__ import annotations

import pytest

from jdobb_async_queue import Idempotency, JobQueue, NewJob
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.backends.memory.indexes import LazyHeap
from jdobb_async_queue.backends.memory.ordered import Ordered
from jdobb_async_queue.records import WorkerBeat
from tests.support.clock import ManualClock
from tests.support.jobs import claim_job, log_of, make_in_state, start_job
from tests.support.records import dice


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


async def test_job_types_without_jobs_leave_nothing_behind():
    async with JobQueue(MemoryBackend(max_finished=10)) as queue:
        for number in range(300):
            await queue.enqueue(f"now-{number}")
            await queue.enqueue(f"later-{number}", delay=3600)
            expiring = await queue.enqueue(f"gone-{number}", ttl=3600)
            for job_type in (f"now-{number}", f"later-{number}"):
                (job,) = (await queue.list_jobs("pending", job_type=job_type)).items
                await queue.cancel(job.id)
            await queue.cancel(expiring)
            await queue.delete(expiring)
            await queue.resume(f"resumed-{number}")
        jobs = queue.backend._jobs

        assert (len(jobs.ready._due), len(jobs.ready._later), len(jobs._counts)) == (0, 0, 9)
        assert queue.backend._types == {}


async def test_a_type_that_still_has_waiting_jobs_is_claimed_in_order():
    clock = ManualClock()
    async with JobQueue(MemoryBackend(clock=clock)) as queue:
        for _ in range(3):
            late = await queue.enqueue("email", delay=5)
            now = await queue.enqueue("email")
            assert (await claim_job(queue)).id == now
            clock.advance(5)
            assert (await claim_job(queue)).id == late
            assert await queue.claim() is None


async def test_idempotency_keys_go_although_no_worker_prunes():
    clock = ManualClock()
    async with JobQueue(MemoryBackend(clock=clock)) as queue:
        for number in range(1000):
            keep = 10 if number % 10 else 1_000_000
            bound = Idempotency(scope="s", key=f"k{number}", fingerprint="f", keep=keep)
            await queue.submit(NewJob(job_type="email"), idempotency=bound)
            clock.advance(1)

        assert len(queue.backend._idempotency) <= 100 + 10
        first = Idempotency(scope="s", key="k0", fingerprint="f")
        assert (await queue.submit(NewJob(job_type="email"), idempotency=first)).replayed


async def test_after_a_burst_of_keys_any_new_job_clears_a_few_away():
    clock = ManualClock()
    async with JobQueue(MemoryBackend(clock=clock)) as queue:
        for number in range(100):
            bound = Idempotency(scope="s", key=f"k{number}", fingerprint="f", keep=10)
            await queue.submit(NewJob(job_type="email"), idempotency=bound)
        clock.advance(10)
        for _ in range(25):
            await queue.enqueue("email")

        assert len(queue.backend._idempotency) == 0


async def test_a_key_that_is_bound_anew_lasts_its_new_time():
    clock = ManualClock()
    async with JobQueue(MemoryBackend(clock=clock)) as queue:
        for _ in range(3):
            bound = Idempotency(scope="s", key="k", fingerprint="f", keep=10)
            assert (await queue.submit(NewJob(job_type="email"), idempotency=bound)).created
            clock.advance(9)
            assert (await queue.submit(NewJob(job_type="email"), idempotency=bound)).replayed
            clock.advance(1)


async def test_workers_that_fell_silent_go_although_no_worker_prunes():
    clock = ManualClock()
    async with JobQueue(MemoryBackend(clock=clock)) as queue:
        for number in range(50):
            await queue.backend.beat_worker(WorkerBeat(f"w{number}"))
            clock.advance(3600)

        assert len(await queue.workers()) == 25


class CountedReads(dict):
    reads = 0

    def __getitem__(self, key):
        self.reads += 1
        return super().__getitem__(key)


@pytest.mark.parametrize("status", [None, "pending", "processing", "cancelled"])
async def test_a_page_reads_its_own_jobs_only_wherever_it_lies(status):
    async with JobQueue(MemoryBackend()) as queue:
        ids = await queue.enqueue_many([NewJob(job_type="email")] * 600)
        if status == "processing":
            await queue.claim_many(limit=600)
        elif status == "cancelled":
            for job_id in ids:
                await queue.cancel(job_id)
        jobs = queue.backend._jobs
        jobs._records = records = CountedReads(jobs._records)
        first = await queue.list_jobs(status, limit=200)
        second = await queue.list_jobs(status, limit=200, cursor=first.next_cursor)
        reads = records.reads
        third = await queue.list_jobs(status, limit=50, cursor=second.next_cursor)

        assert reads == 402
        assert records.reads - reads == 51
        assert len({job.id for page in (first, second, third) for job in page.items}) == 450


class TestOrdered:
    @pytest.fixture
    def ordered(self) -> Ordered:
        return Ordered()

    def test_it_is_sorted_whatever_the_order_of_coming_and_going(self, ordered):
        rng = dice()
        there: list[tuple[int, int, str]] = []
        for number in range(8000):
            if there and rng.random() < 0.4:
                ordered.remove(there.pop(rng.randrange(len(there))))
            else:
                entry = (rng.randrange(3), -number if number % 2 else number, f"job-{number}")
                there.append(entry)
                ordered.add(entry)

        assert list(ordered.after(None)) == [entry[-1] for entry in sorted(there)]
        assert len(ordered) == len(there)

    @pytest.mark.parametrize("count", [0, 1, 512, 513, 1024, 1025, 5000])
    @pytest.mark.parametrize("step", [1, -1])
    def test_it_goes_on_strictly_behind_a_key(self, ordered, count, step):
        for number in range(count)[::step]:
            ordered.add((7, number, str(number)))

        for number in (-1, 0, 511, 512, 1024, count - 1, count):
            rest = [str(later) for later in range(number + 1, count)]
            assert list(ordered.after((7, number))) == rest
        assert list(ordered.after((6, 99999))) == [str(number) for number in range(count)]
        assert list(ordered.after((8, -1))) == []

    def test_what_has_gone_leaves_no_block_behind(self, ordered):
        for number in range(5000):
            ordered.add((number, "a"))
        for number in range(5000):
            ordered.remove((number, "a"))

        assert (len(ordered), ordered._blocks, ordered._lasts) == (0, [], [])


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
