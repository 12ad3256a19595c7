"""What only time does is done also where no worker runs: all of them may be over HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from jdobb_async_queue import JobContext, JobQueue, JobRouter
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_service import maintenance
from jdobb_service.app import create_app
from jdobb_service.closing import Closing
from jdobb_service.metrics import Metrics
from jdobb_service.settings import Settings
from tests.support.outage import FailingBackend
from tests.support.serving import Running, serving
from tests.support.waiting import WITHIN, eventually


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "EVERY", 0.02)


async def counters(service: Running) -> dict[str, float]:
    text = (await service.client.get("/metrics")).text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_jobs_go_after_their_retention(backend_url: str):
    async with serving(backend_url=backend_url, retention=0) as service:
        job_ids = [await service.new_job() for _ in range(maintenance._LIMIT + 1)]
        for job_id in job_ids:
            await service.queue.complete(job_id)

        async def are_gone() -> bool:
            return not any(await service.queue.get_many(job_ids))

        await eventually(are_gone)


async def test_lost_leases_and_missed_starts_are_noticed_though_nobody_claims(backend_url: str):
    async with serving(backend_url=backend_url) as service:
        lost = await service.new_job("lost", max_lost=1)
        assert await service.queue.claim(["lost"], lease=0.1)
        late = await service.new_job("late", ttl=0.1)  # a claim would see to it too
        ended = [await service.queue.wait(job_id, WITHIN) for job_id in (lost, late)]

        async def are_counted() -> bool:
            found = await counters(service)
            return (found["jdobb_leases_expired_total"], found["jdobb_jobs_expired_total"]) == (1, 1)

        await eventually(are_counted)
    assert [job.error for job in ended] == ["lease lost 1 times", "expired: not started within 0.1 s"]


async def test_it_goes_on_after_an_outage_and_after_an_error(monkeypatch: pytest.MonkeyPatch):
    backend = FailingBackend(MemoryBackend())
    queue = JobQueue(backend, retention=0)
    calls: Counter[str] = Counter()
    maintain = queue.maintain

    async def defective(limit: int) -> object:
        calls["maintain"] += 1
        if calls["maintain"] == 1:
            raise RuntimeError("a defect")
        return await maintain(limit)

    monkeypatch.setattr(queue, "maintain", defective)
    async with serving(app=create_app(Settings(backend_url="memory://"), queue=queue)) as service:
        job_id = await service.new_job()
        await queue.complete(job_id)
        backend.down = True

        async def is_counted() -> bool:
            source = 'jdobb_backend_errors_total{backend="failing",source="maintenance"}'
            return (await counters(service)).get(source, 0) > 1

        await eventually(is_counted)
        backend.down = False

        async def is_gone() -> bool:
            return await queue.get(job_id) is None

        await eventually(is_gone)
    await queue.close()


async def test_while_a_worker_does_it_nothing_is_done():
    asked: list[bool] = []

    def is_done() -> bool:
        asked.append(True)
        return True

    async with JobQueue(retention=0) as queue:
        await queue.complete(await queue.enqueue("mail", job_id="a"))
        other = maintenance.Maintenance(queue, Metrics(backend="memory"), Closing(), is_done=is_done)
        async with other.running():
            await eventually(lambda: len(asked) > 3)
        assert await queue.get("a") is not None


async def test_it_is_done_when_the_worker_here_has_been_stopped():
    router = JobRouter()
    router.register_handler("mail", hold)
    async with serving([router], retention=0) as service:
        assert service.state.runs_jobs
        (worker,) = await service.queue.workers()
        await service.queue.signal_worker(worker.id, "stop")
        await eventually(lambda: not service.state.runs_jobs)
        job_id = await service.new_job("mail")
        await service.queue.complete(job_id)

        async def is_gone() -> bool:
            return await service.queue.get(job_id) is None

        await eventually(is_gone)


async def hold(ctx: JobContext) -> None:
    del ctx
    await asyncio.Event().wait()
