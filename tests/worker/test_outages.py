"""A backend that goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jdobb_async_queue import BackendUnavailable, JobQueue, JobStatus, Worker
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.clock import SystemClock
from jdobb_async_queue.instrumentation import facts
from tests.support.jobs import log_of
from tests.support.leaping import LeapingLoop
from tests.support.outage import FailingBackend
from tests.support.records import dice
from tests.support.waiting import WITHIN, eventually
from tests.worker.conftest import told


@pytest.fixture
async def failing(make_queue) -> AsyncIterator[FailingBackend]:
    backend = FailingBackend(make_queue(clock=SystemClock()).backend)
    yield backend
    await backend.inner.close()


async def test_a_worker_that_starts_before_its_backend_waits_for_it(failing, start):
    async def email(ctx): ...

    queue = JobQueue(failing)
    failing.down = True
    worker = await start(on=queue, email=email)

    async def tried_twice():
        return failing.called.get("open", 0) >= 2

    await eventually(tried_twice)
    failing.down = False

    assert (await queue.wait(await queue.enqueue("email"), WITHIN)).status is JobStatus.COMPLETE
    assert told(worker, facts.BackendLost)


async def test_a_producer_is_told_while_the_backend_is_down(failing):
    queue = JobQueue(failing)
    await queue.enqueue("email")
    failing.down = True

    with pytest.raises(BackendUnavailable):
        await queue.enqueue("email")


async def test_a_finished_result_is_kept_and_settled_when_the_backend_is_back(failing, start):
    finish = asyncio.Event()
    runs = 0

    async def email(ctx):
        nonlocal runs
        runs += 1
        await finish.wait()
        return {"kept": True}

    queue = JobQueue(failing)
    await start(on=queue, email=email)
    job_id = await queue.enqueue("email")

    async def runs_now():
        return runs == 1

    await eventually(runs_now)
    failing.down = True
    finish.set()
    before = failing.called.get("apply", 0)

    async def tried():
        return failing.called.get("apply", 0) >= before + 2

    await eventually(tried)
    failing.down = False
    job = await queue.wait(job_id, WITHIN)

    assert (job.results, runs, job.attempt) == ({"kept": True}, 1, 1)


async def test_a_worker_claims_again_by_itself_after_an_outage(failing, start):
    async def email(ctx): ...

    queue = JobQueue(failing)
    worker = await start(on=queue, email=email, poll_interval=0.02)
    await queue.wait(await queue.enqueue("email"), WITHIN)
    failing.down = True

    async def noticed():
        return any(fact.loop == "fetcher" for fact in told(worker, facts.BackendLost))

    await eventually(noticed)
    failing.down = False

    assert (await queue.wait(await queue.enqueue("email"), WITHIN)).status is JobStatus.COMPLETE

    async def said_so():
        return any(fact.loop == "fetcher" for fact in told(worker, facts.BackendBack))

    await eventually(said_so)


async def test_a_worker_registers_as_soon_as_it_can_and_says_no_earlier_that_it_could(failing, start):
    async def email(ctx): ...

    def heard(worker, kind):
        return [fact for fact in told(worker, kind) if fact.loop == "heartbeat"]

    queue = JobQueue(failing)
    failing.refused = frozenset({"beat_worker"})
    worker = await start(on=queue, email=email)

    async def tried_again():
        return failing.called.get("beat_worker", 0) >= 3

    await eventually(tried_again)
    assert len(heard(worker, facts.BackendLost)) >= 2
    assert heard(worker, facts.BackendBack) == []
    failing.refused = frozenset()

    async def is_registered():
        return len(await queue.workers()) == 1 and heard(worker, facts.BackendBack)

    await eventually(is_registered)


async def test_a_worker_whose_outcomes_are_refused_does_not_claim_more_and_more(failing, start, monkeypatch):
    runs, tries, is_refused = [], 0, True
    apply = failing.apply

    async def refuse(changes, **options):
        nonlocal tries
        tries += 1
        if is_refused:
            await failing.inner.counts()  # as long as a claim takes
            raise BackendUnavailable("refused")
        return await apply(changes, **options)

    async def email(ctx):
        runs.append(ctx.id)

    monkeypatch.setattr(failing, "apply", refuse)
    queue = JobQueue(failing)
    for _ in range(40):
        await queue.enqueue("email")
    await start(on=queue, email=email, max_concurrent=2)

    async def tried_often():
        return tries >= 5

    await eventually(tried_often)
    assert len(runs) <= 4, "one set of slots being settled, another one claimed meanwhile"
    is_refused = False

    async def all_ran():
        return (await queue.counts())["email"] == {"complete": 40}

    await eventually(all_ran)
    assert len(runs) == 40


async def test_a_worker_can_be_stopped_during_an_outage(failing, start):
    async def email(ctx): ...

    worker = await start(on=JobQueue(failing), email=email)

    async def runs():
        return bool(told(worker, facts.WorkerStarted))

    await eventually(runs)
    failing.down = True
    await asyncio.wait_for(worker.stop(), WITHIN)

    assert not worker.is_running


async def test_what_a_handler_reports_during_an_outage_is_delivered_afterwards(failing, start):
    down, up = asyncio.Event(), asyncio.Event()

    async def email(ctx):
        await ctx.update(0.1, "before")
        await down.wait()
        await ctx.update(0.8, "during")
        await ctx.log("a line")
        await up.wait()

    queue = JobQueue(failing)
    await start(on=queue, email=email)
    job_id = await queue.enqueue("email")

    async def reported():
        return (await queue.get(job_id)).progress == 0.1

    await eventually(reported)
    failing.down = True
    before = failing.called["apply"]
    down.set()

    async def tried():
        return failing.called["apply"] > before

    await eventually(tried)
    failing.down = False
    up.set()
    job = await queue.wait(job_id, WITHIN)
    said = [(update.kind, update.message) for update in await log_of(queue, job_id)]

    assert (job.status, job.message) == (JobStatus.COMPLETE, "during")
    assert said[-3:-1] == [("progress", "during"), ("log", "a line")]


async def test_handlers_never_outnumber_the_slots_while_outcomes_cannot_be_stored(failing, start):
    running, most, started = 0, 0, []

    async def email(ctx):
        nonlocal running, most
        running += 1
        most = max(most, running)
        started.append(ctx.id)
        await asyncio.sleep(0)
        running -= 1

    queue = JobQueue(failing)
    failing.refused = frozenset({"apply"})
    ids = [await queue.enqueue("email") for _ in range(12)]
    await start(on=queue, max_concurrent=3, email=email)

    async def refused_often():
        return failing.called.get("apply", 0) >= 5

    await eventually(refused_often)
    while_refused = len(started)
    failing.refused = frozenset()
    for job_id in ids:
        assert (await queue.wait(job_id, WITHIN)).status is JobStatus.COMPLETE

    assert 3 <= while_refused <= 6
    assert most == 3
    assert sorted(started) == sorted(ids)


class SleepyClock:
    """The clocks of a machine that may be put to sleep: the monotonic one sleeps too."""

    def __init__(self, loop: LeapingLoop) -> None:
        self._loop, self.slept = loop, 0

    def now(self) -> int:
        return self._loop.now() + self.slept

    def monotonic(self) -> float:
        return self._loop.monotonic()


@pytest.mark.parametrize("seed", [0, 6])
@pytest.mark.parametrize("gap", ["outage", "sleep"])
def test_a_worker_takes_no_job_from_itself_after_a_gap_longer_than_its_leases(seed, gap):
    loop, starts = LeapingLoop(), []
    clock = SleepyClock(loop)
    backend = FailingBackend(MemoryBackend(clock=clock))
    queue = JobQueue(backend, lease=30.0, rng=dice(seed))
    worker = Worker(queue, clock=clock, shutdown_grace=0.0)

    @worker.handler("email")
    async def email(ctx):
        starts.append(ctx.id)
        await asyncio.sleep(100)

    async def main():
        running = asyncio.ensure_future(worker.run())
        ids = [await queue.enqueue("email") for _ in range(3)]
        await asyncio.sleep(20)
        if gap == "outage":
            backend.down = True
            await asyncio.sleep(45)
            backend.down = False
        else:
            clock.slept += 3_600_000
        jobs = [await queue.wait(job_id, 300) for job_id in ids]
        await worker.stop()
        await running
        return jobs

    jobs = loop.run_until_complete(main())
    loop.close()

    assert [(job.status, job.attempt, job.losses) for job in jobs] == [(JobStatus.COMPLETE, 1, 0)] * 3
    assert len(starts) == 3
