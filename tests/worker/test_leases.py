"""Leases of running jobs: kept while the worker lives, told when they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from jdobb_async_queue import JobQueue, JobStatus, LeaseLost, QueueBackend
from jdobb_async_queue.clock import SystemClock
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.lifecycle import rescue
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.worker import crew, executor, heartbeat
from tests.support.jobs import FOR_EVER, get_job
from tests.support.outage import FailingBackend
from tests.support.waiting import WITHIN, eventually
from tests.worker.conftest import told

LEASE = 0.3
"""Short, so that the worker looks often; it runs out on a clock that only the test moves."""


@pytest.fixture
def leased(make_queue) -> JobQueue:
    """Return a queue whose leases run out when the test says so."""
    return make_queue(lease=LEASE)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker wait for a handler that was told to end for as long as the test takes."""
    for module in (crew, executor):
        monkeypatch.setattr(module, "TO_OBEY", WITHIN)
    monkeypatch.setattr(crew, "_TO_END", WITHIN)


async def outlast_the_lease(queue, job_id, clock):
    """Let more time pass than a lease has, no faster than the worker renews it."""
    for _ in range(4):
        [before] = await queue.backend.get([job_id])
        clock.advance(LEASE * 0.4)

        async def is_renewed(old=before.lease_expires_at):
            [record] = await queue.backend.get([job_id])
            assert record.lease_expires_at is not None, "the lease was given up"
            return record.lease_expires_at > old

        await eventually(is_renewed)


async def test_a_job_longer_than_its_lease_runs_once(leased, start, clock):
    entered, end = asyncio.Event(), asyncio.Event()
    starts = 0

    async def email(ctx):
        nonlocal starts
        starts += 1
        entered.set()
        await end.wait()

    await start(on=leased, email=email, clock=clock)
    job_id = await leased.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    await outlast_the_lease(leased, job_id, clock)
    end.set()
    job = await leased.wait(job_id, WITHIN)

    assert (job.status, starts, job.losses) == (JobStatus.COMPLETE, 1, 0)


async def test_cancelling_a_running_job_reaches_its_handler_and_its_result_is_refused(
    make_queue, start, clock
):
    queue = make_queue()
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
        return {"late": True}

    await start(on=queue, email=email, clock=clock)
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered.wait(), WITHIN)
    assert await queue.cancel(job_id, "not needed")
    assert (await get_job(queue, job_id)).status is JobStatus.CANCELLED
    clock.advance(1.0)
    await asyncio.wait_for(cancelled.wait(), WITHIN)
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


async def test_many_leases_are_looked_after_in_portions(queue, start, monkeypatch):
    monkeypatch.setattr(heartbeat, "_AT_ONCE", 2)
    portions: list[set[str]] = []
    asked = queue.backend.heartbeat

    async def noted(leases):
        portions.append({ref.job_id for ref in leases})
        return await asked(leases)

    monkeypatch.setattr(queue.backend, "heartbeat", noted)
    end = asyncio.Event()

    async def email(_ctx):
        await end.wait()

    ids = {await queue.enqueue("email") for _ in range(5)}
    await start(max_concurrent=5, email=email)
    await eventually(lambda: set().union(*portions) == ids)
    assert max(map(len, portions)) == 2
    end.set()


class SlowToRegister(FailingBackend):
    """Answers a worker's registration when it is told to, and is seldom asked by a worker that rests."""

    idle_interval = 3600.0

    def __init__(self, inner: QueueBackend) -> None:
        super().__init__(inner)
        self.answers = asyncio.Event()
        self.looked_after: set[str] = set()
        """The jobs whose leases were asked for."""

    async def heartbeat(self, leases):
        self.looked_after |= {ref.job_id for ref in leases}
        return await super().heartbeat(leases)

    async def beat_worker(self, beat):
        directive = await super().beat_worker(beat)
        await self.answers.wait()
        return directive


@pytest.fixture
async def slow_to_register(make_queue) -> AsyncIterator[SlowToRegister]:
    backend = SlowToRegister(make_queue(clock=SystemClock()).backend)
    yield backend
    await backend.inner.close()


async def test_a_lease_that_is_taken_while_the_worker_registers_is_kept(slow_to_register, start):
    """Found by ``chaos --backend redis --durability normal --lease 2 --seed 101``.

    A worker that started before a backlog looked after its first leases only one lease later, when one of
    them, of a long job, had just run out.
    """
    queue = JobQueue(slow_to_register, lease=3600.0)
    entered, end = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        await end.wait()

    job_id = await queue.enqueue("email")
    await start(on=queue, email=email)
    await asyncio.wait_for(entered.wait(), WITHIN)
    slow_to_register.answers.set()
    await eventually(lambda: job_id in slow_to_register.looked_after)
    end.set()


async def test_a_lease_is_kept_that_is_taken_beside_a_handler_that_will_not_stop(slow_to_register, start):
    """Found by the simulation of seed 177.

    While a handler went on whose lease had been lost, the next lease was looked after only when the worker
    had rested for as long as a lease lasts.
    """
    slow_to_register.answers.set()
    queue = JobQueue(slow_to_register, lease=3600.0)
    entered, end = {"deaf": asyncio.Event(), "email": asyncio.Event()}, asyncio.Event()

    async def deaf(ctx):
        entered["deaf"].set()
        while not end.is_set():
            with suppress(asyncio.CancelledError):
                await end.wait()

    async def email(ctx):
        entered["email"].set()
        await end.wait()

    worker = await start(on=queue, deaf=deaf, email=email)
    lost = await queue.enqueue("deaf", max_lost=1)
    await asyncio.wait_for(entered["deaf"].wait(), WITHIN)
    [record] = await queue.backend.get([lost])
    await queue.backend.apply([rescue(record, FOR_EVER)])
    await eventually(lambda: told(worker, facts.JobStopped))
    job_id = await queue.enqueue("email")
    await asyncio.wait_for(entered["email"].wait(), WITHIN)
    try:
        await eventually(lambda: job_id in slow_to_register.looked_after)
    finally:
        end.set()


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


async def test_a_worker_rescues_what_a_dead_one_left(leased, start, clock):
    async def email(ctx):
        return {"attempt": ctx.attempt}

    job_id = await leased.enqueue("email")
    assert await leased.claim(["email"], worker_id="dead") is not None
    await start(on=leased, email=email, clock=clock, poll_interval=3600.0)
    clock.advance(LEASE)
    job = await leased.wait(job_id, WITHIN)

    assert (job.results, job.losses) == ({"attempt": 2}, 1)


async def test_the_lease_of_a_handler_that_cleans_up_is_kept_until_it_has_ended(
    leased, start, clock, patient
):
    entered, cleaning, end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def email(ctx):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await end.wait()

    worker = await start(on=leased, email=email, clock=clock)
    job_id = await leased.enqueue("email", max_lost=1)
    await asyncio.wait_for(entered.wait(), WITHIN)
    stopped = asyncio.ensure_future(worker.stop())
    await asyncio.wait_for(cleaning.wait(), WITHIN)
    await outlast_the_lease(leased, job_id, clock)
    end.set()
    await asyncio.wait_for(stopped, WITHIN)
    job = await get_job(leased, job_id)

    assert (job.status, job.losses, job.failures) == (JobStatus.PENDING, 0, 0)


async def test_an_attempt_that_timed_out_fails_although_its_cleanup_outlasts_the_lease(
    leased, start, clock, patient
):
    cleaning, end = asyncio.Event(), asyncio.Event()
    runs = 0

    async def email(ctx):
        nonlocal runs
        runs += 1
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await end.wait()

    await start(on=leased, email=email, clock=clock)
    job_id = await leased.enqueue("email", timeout=0.05)
    await asyncio.wait_for(cleaning.wait(), WITHIN)
    await outlast_the_lease(leased, job_id, clock)
    end.set()
    job = await leased.wait(job_id, WITHIN)

    assert (job.status, job.losses, job.failures, runs) == (JobStatus.FAILED, 0, 1, 1)
    assert job.error.startswith("timeout:")


async def test_an_attempt_whose_handler_ignores_its_timeout_is_settled_without_it(
    leased, start, clock, monkeypatch
):
    monkeypatch.setattr(executor, "TO_OBEY", 0.05)
    end = asyncio.Event()

    async def email(ctx):
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    worker = await start(on=leased, email=email, clock=clock, max_concurrent=1)
    job = await leased.wait(await leased.enqueue("email", timeout=0.05), WITHIN)
    waiting = await leased.enqueue("email")

    assert (job.status, job.failures, job.losses) == (JobStatus.FAILED, 1, 0)
    assert [fact.job_id for fact in told(worker, facts.HandlerIgnoresCancellation)] == [job.id]
    assert (await get_job(leased, waiting)).attempt == 0
    end.set()
    assert (await leased.wait(waiting, WITHIN)).status is JobStatus.COMPLETE
