"""Leases of running jobs: kept while the worker lives, told when they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jdobb_async_queue import JobQueue, JobStatus, LeaseLost, QueueBackend
from jdobb_async_queue.clock import SystemClock
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.lifecycle import rescue
from jdobb_async_queue.transitions import Transition
from tests.support.jobs import FOR_EVER, get_job
from tests.support.outage import FailingBackend
from tests.support.waiting import eventually
from tests.worker.conftest import told

WITHIN = 10.0


async def test_a_job_longer_than_its_lease_runs_once(make_queue, start):
    queue = make_queue(clock=SystemClock(), lease=0.3)
    starts = 0

    async def email(ctx):
        nonlocal starts
        starts += 1
        await asyncio.sleep(1.0)

    await start(on=queue, email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (job.status, starts, job.losses) == (JobStatus.COMPLETE, 1, 0)


async def test_cancelling_a_running_job_reaches_its_handler_and_its_result_is_refused(queue, start):
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
        return {"late": True}

    await start(email=email)
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    assert await queue.cancel(job_id, "not needed")
    assert (await get_job(queue, job_id)).status is JobStatus.CANCELLED
    await asyncio.wait_for(cancelled.wait(), 1.0)
    other = await queue.wait(await queue.enqueue("email", timeout=0.01), WITHIN)
    job = await get_job(queue, job_id)

    assert other.status is JobStatus.FAILED
    assert (job.status, job.error, job.results) == (JobStatus.CANCELLED, "not needed", None)


async def test_a_lost_lease_cancels_the_handler_and_its_context_says_so(queue, start):
    entered, refused = asyncio.Event(), []

    async def email(ctx):
        if ctx.attempt > 1:
            return {"attempt": ctx.attempt}
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await ctx.update(0.5)
            except LeaseLost as error:
                refused.append(error)
            raise
        return None

    worker = await start(email=email)
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    [record] = await queue.backend.get([job_id])
    await queue.backend.apply([rescue(record, FOR_EVER)])
    job = await queue.wait(job_id, WITHIN)

    assert (job.results, job.losses) == ({"attempt": 2}, 1)

    async def was_refused():
        return len(refused) == 1

    await eventually(was_refused)
    assert [fact.reason for fact in told(worker, facts.JobStopped)] == ["lost"]


async def test_a_report_on_a_lost_lease_stops_the_handler(queue, start):
    stopped = asyncio.Event()
    taken = asyncio.Event()

    async def email(ctx):
        if ctx.attempt > 1:
            return
        try:
            await taken.wait()
            while True:
                await ctx.log("working")
        except (LeaseLost, asyncio.CancelledError):
            stopped.set()
            raise

    await start(email=email)
    job_id = await queue.enqueue("email")

    async def runs():
        return (await get_job(queue, job_id)).status is JobStatus.PROCESSING

    await eventually(runs)
    [record] = await queue.backend.get([job_id])
    await queue.backend.apply([rescue(record, FOR_EVER)])
    taken.set()

    await asyncio.wait_for(stopped.wait(), WITHIN)
    assert (await queue.wait(job_id, WITHIN)).status is JobStatus.COMPLETE


class CountingBackend(FailingBackend):
    """Counts how often a lease is asked for that was told to be gone."""

    def __init__(self, inner: QueueBackend) -> None:
        super().__init__(inner)
        self.gone: set[str] = set()
        self.asked_in_vain = 0

    async def heartbeat(self, leases):
        self.asked_in_vain += sum(ref.token in self.gone for ref in leases)
        answers = await super().heartbeat(leases)
        self.gone.update(
            ref.token for ref, answer in zip(leases, answers, strict=True) if answer.status != "ok"
        )
        return answers


@pytest.fixture
async def counting(make_queue) -> AsyncIterator[CountingBackend]:
    backend = CountingBackend(make_queue(clock=SystemClock()).backend)
    yield backend
    await backend.inner.close()


async def test_a_lease_that_was_lost_while_its_outcome_waits_is_not_asked_for_again(counting, start):
    queue, backend = JobQueue(counting, lease=0.3), counting
    entered = asyncio.Event()

    async def email(ctx):
        entered.set()

    backend.refused = frozenset({"apply"})
    await start(on=queue, email=email)
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    await backend.inner.apply([Transition.cancel(job_id, None, FOR_EVER)])
    await eventually(lambda: bool(backend.gone))
    tries = backend.called["apply"]
    await eventually(lambda: backend.called["apply"] >= tries + 2)

    assert backend.asked_in_vain == 0


class LeapingClock(SystemClock):
    """The machine slept between the claim and the start: monotonic time leaps at each reading."""

    def __init__(self) -> None:
        self.leaps = 1
        self._reading = 0.0

    def monotonic(self) -> float:
        if self.leaps > 0:
            self._reading += 100.0
        return self._reading


async def test_no_handler_is_started_on_a_lease_that_has_run_out(queue, start):
    ran = []

    async def email(ctx):
        ran.append(ctx.attempt)

    clock = LeapingClock()
    job_id = await queue.enqueue("email")
    worker = await start(email=email, clock=clock)

    async def given_back():
        return (await get_job(queue, job_id)).attempt >= 2

    await eventually(given_back)
    assert ran == []
    clock.leaps = 0
    job = await queue.wait(job_id, WITHIN)

    assert (len(ran), job.status, job.failures) == (1, JobStatus.COMPLETE, 0)
    assert worker.is_running


async def test_a_worker_rescues_what_a_dead_one_left(make_queue, start):
    queue = make_queue(clock=SystemClock(), lease=0.3)

    async def email(ctx):
        return {"attempt": ctx.attempt}

    job_id = await queue.enqueue("email")
    assert await queue.claim(["email"], worker_id="dead") is not None
    await start(on=queue, email=email, poll_interval=3600.0)
    job = await queue.wait(job_id, 1.8)

    assert (job.results, job.losses) == ({"attempt": 2}, 1)


async def test_the_lease_of_a_handler_that_cleans_up_is_kept_until_it_has_ended(make_queue, start):
    queue = make_queue(clock=SystemClock(), lease=0.3)
    entered = asyncio.Event()

    async def email(ctx):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.8)

    worker = await start(on=queue, email=email)
    job_id = await queue.enqueue("email", max_lost=1)
    await asyncio.wait_for(entered.wait(), WITHIN)
    await asyncio.wait_for(worker.stop(), WITHIN)
    job = await get_job(queue, job_id)

    assert (job.status, job.losses, job.failures) == (JobStatus.PENDING, 0, 0)


async def test_an_attempt_that_timed_out_fails_although_its_cleanup_outlasts_the_lease(make_queue, start):
    queue = make_queue(clock=SystemClock(), lease=0.8)
    runs = 0

    async def email(ctx):
        nonlocal runs
        runs += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1.6)

    await start(on=queue, email=email)
    job = await queue.wait(await queue.enqueue("email", timeout=0.05), WITHIN)

    assert (job.status, job.losses, job.failures, runs) == (JobStatus.FAILED, 0, 1, 1)
    assert job.error.startswith("timeout:")


async def test_an_attempt_whose_handler_ignores_its_timeout_is_settled_without_it(make_queue, start):
    queue = make_queue(clock=SystemClock(), lease=0.3)
    end = asyncio.Event()

    async def email(ctx):
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    worker = await start(on=queue, email=email, max_concurrent=1)
    job = await queue.wait(await queue.enqueue("email", timeout=0.05), WITHIN)
    waiting = await queue.enqueue("email")

    assert (job.status, job.failures, job.losses) == (JobStatus.FAILED, 1, 0)
    assert [fact.job_id for fact in told(worker, facts.HandlerIgnoresCancellation)] == [job.id]
    assert (await get_job(queue, waiting)).attempt == 0
    end.set()
    assert (await queue.wait(waiting, WITHIN)).status is JobStatus.COMPLETE
