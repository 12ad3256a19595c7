"""What a worker does within which time, measured on a loop whose time is no machine's."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from jdobb_async_queue import Broadcaster, JobQueue, Worker
from jdobb_async_queue.backends.bells import CANCELLED, Bell
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.records import NewRecord
from tests.support.jobs import get_job
from tests.support.leaping import LeapingLoop
from tests.support.outage import FailingBackend

FOR_EVER = 3600.0


@pytest.fixture
def leaping() -> Iterator[LeapingLoop]:
    loop = LeapingLoop()
    yield loop
    loop.close()


@asynccontextmanager
async def working(queue, clock, *, max_concurrent=10, **handlers):
    """Run a worker that does not poll until the block is left."""
    worker = Worker(
        queue, poll_interval=FOR_EVER, max_concurrent=max_concurrent, shutdown_grace=0.0, clock=clock
    )
    for job_type, handler in handlers.items():
        worker.register_handler(job_type, handler)
    running = asyncio.ensure_future(worker.run())
    try:
        yield worker
    finally:
        await worker.stop()
        await running


async def nothing(ctx): ...


def test_a_due_job_starts_within_a_fifth_of_a_second(leaping):
    async def main():
        async with JobQueue(MemoryBackend(clock=leaping)) as queue, working(queue, leaping, email=nothing):
            return await queue.wait(await queue.enqueue("email", delay=0.75))

    job = leaping.run_until_complete(main())

    assert 0 <= (job.started_at - job.run_at).total_seconds() < 0.2


@pytest.mark.parametrize("busy", [False, True])
def test_a_job_of_a_dead_worker_is_back_a_second_after_its_lease_at_the_latest(leaping, busy):
    late = []

    async def email(ctx):
        await asyncio.Event().wait()

    async def lose(queue):
        job_id = await queue.enqueue("foreign")
        lost = await queue.claim(["foreign"], worker_id="dead", lease=7)
        async for update in Broadcaster(queue).subscribe(job_id):
            if update.status == "pending":
                late.append((update.timestamp - lost.lease_expires_at).total_seconds())
                break
        await queue.cancel(job_id)

    async def main():
        async with (
            JobQueue(MemoryBackend(clock=leaping)) as queue,
            working(queue, leaping, max_concurrent=1, email=email),
        ):
            if busy:
                await queue.enqueue("email")
            for _ in range(10):
                await asyncio.sleep(3.3)
                await lose(queue)

    leaping.run_until_complete(main())

    assert len(late) == 10
    assert 0 <= min(late) <= max(late) <= 1


class DeafBackend(MemoryBackend):
    """A backend whose hints of cancellations are lost."""

    def watch(self, topics):
        return nullcontext(Bell()) if CANCELLED in topics else super().watch(topics)


@pytest.mark.parametrize(("backend", "within"), [(MemoryBackend, 0.001), (DeafBackend, 1.1)])
def test_a_cancellation_reaches_the_handler_within_a_second_and_with_its_hint_at_once(
    leaping, backend, within
):
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def main():
        async with JobQueue(backend(clock=leaping)) as queue, working(queue, leaping, email=email):
            job_id = await queue.enqueue("email")
            await entered.wait()
            await asyncio.sleep(7.3)
            await queue.cancel(job_id)
            began = leaping.time()
            await cancelled.wait()
            return leaping.time() - began

    assert leaping.run_until_complete(main()) <= within


def test_jobs_past_their_retention_go_within_ten_seconds(leaping):
    async def main():
        backend = MemoryBackend(clock=leaping)
        async with JobQueue(backend, retention=61) as queue, working(queue, leaping, email=nothing):
            job = await queue.wait(await queue.enqueue("email"))
            await asyncio.sleep(60.9)
            assert await get_job(queue, job.id)
            await asyncio.sleep(10)
            return await queue.get(job.id)

    assert leaping.run_until_complete(main()) is None


def test_stopping_takes_five_seconds_when_the_backend_hangs_and_no_error_stays_unheard(leaping, monkeypatch):
    unheard = []
    leaping.set_exception_handler(lambda _, context: unheard.append(context))

    async def never(*_, **__):
        await asyncio.Event().wait()

    async def main():
        failing = FailingBackend(MemoryBackend(clock=leaping))
        queue = JobQueue(failing)
        async with working(queue, leaping, email=nothing) as worker:
            await queue.wait(await queue.enqueue("email"))
            for call in ("claim_pending_jobs", "apply", "heartbeat", "sweep", "remove_worker"):
                monkeypatch.setattr(failing, call, never)
            await failing.inner.store(
                [NewRecord(id="last", job_type="email", priority=5, data=b"{}", metadata=b"{}")]
            )
            await asyncio.sleep(3)
            began = leaping.time()
            await worker.stop()
            return leaping.time() - began

    assert leaping.run_until_complete(main()) <= 5
    gc.collect()
    assert unheard == []
