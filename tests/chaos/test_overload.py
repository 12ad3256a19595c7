"""More jobs than workers can bear: limits hold under racing producers, and a restart works a backlog off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from chaos.actors.part import Part
from chaos.history import Claimed, Started, read_history
from chaos.stage.cast import WORKER, Actor
from jdobb_async_queue import JobContext, JobQueue, NewJob, QueueBackend, Worker
from tests.support.fleet import Fleet, fleet_on
from tests.support.fleet import fleet as running_fleet
from tests.support.outage import FailingBackend
from tests.support.redis_server import RedisServer
from tests.support.waiting import WITHIN, eventually

LIMIT, PRODUCERS, TOGETHER = 60, 8, 40
WORKERS = 4
MANY_WORKERS, BACKLOG = 50, 1000
ROOM = 128 * 1024
"""KB that a worker may need beyond what it has at its start, however many jobs wait."""


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def fleet(store: str, tmp_path: Path):
    with fleet_on(store, tmp_path) as started:
        yield started


async def test_racing_producers_never_exceed_a_limit_and_are_told_when_to_come_back(fleet: Fleet):
    clients = [fleet.api(), fleet.api()]
    clients[0].put("/job-types/count", json={"max_pending": LIMIT}).raise_for_status()
    urls = [str(client.base_url) for client in clients]

    async def produce(n: int) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=urls[n % 2], timeout=WITHIN) as client:
            return [await client.post("/jobs", json={"job_type": "count"}) for _ in range(TOGETHER)]

    answers = [answer for some in await asyncio.gather(*map(produce, range(PRODUCERS))) for answer in some]
    refused = [answer for answer in answers if answer.status_code != httpx.codes.CREATED]

    assert len(answers) - len(refused) == LIMIT
    assert Counter(answer.json()["code"] for answer in refused) == {"queue-full": len(answers) - LIMIT}
    assert all(answer.status_code == httpx.codes.TOO_MANY_REQUESTS for answer in refused)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert clients[1].get("/stats").json()["counts"]["pending"] == LIMIT


async def test_workers_that_start_before_a_large_backlog_take_each_job_once_and_the_urgent_first(
    fleet: Fleet, tmp_path: Path, request: pytest.FixtureRequest
):
    jobs = request.config.getoption("jobs") or 3000
    async with JobQueue.from_url(fleet.url) as queue:
        await fill(queue, jobs)
        async with workers_on(fleet.url, tmp_path) as workers:
            started = {worker.name: memory_of(worker, "VmRSS") for worker in workers}
            await eventually(lambda: is_done(queue, jobs), within=100 + jobs / 20)
            grown = {worker.name: memory_of(worker, "VmHWM") - started[worker.name] for worker in workers}
        levels = {job.id: job.priority.value for job in await all_jobs(queue)}
    claims = [event for event in read_history(tmp_path) if isinstance(event, Claimed)]
    times: dict[str, list[int]] = {"high": [], "normal": [], "low": []}
    for claim in claims:
        times[levels[claim.job]].append(claim.claimed_ms or 0)

    assert len(claims) == len({claim.job for claim in claims}) == jobs
    assert max(times["high"]) <= min(times["normal"])
    assert max(times["normal"]) <= min(times["low"])
    assert max(grown.values()) < ROOM, grown


class CountingClaims(FailingBackend):
    """Writes down how many jobs each claim got; several may write into one list."""

    def __init__(self, inner: QueueBackend, got: list[int]) -> None:
        super().__init__(inner)
        self.emptied = inner.emptied
        self._got = got

    async def claim_pending_jobs(self, request):
        claimed = await super().claim_pending_jobs(request)
        self._got.append(len(claimed.records))
        return claimed


async def test_fifty_workers_that_start_before_a_backlog_do_not_claim_in_vain(fleet: Fleet):
    got: list[int] = []
    async with JobQueue.from_url(fleet.url) as queue, AsyncExitStack() as stack:
        await fill(queue, BACKLOG)
        for _ in range(MANY_WORKERS):
            backend = CountingClaims(JobQueue.from_url(fleet.url).backend, got)
            worker = Worker(await stack.enter_async_context(JobQueue(backend)), max_concurrent=2)
            worker.register_handler("quick", at_once)
            running = asyncio.ensure_future(worker.run())
            stack.push_async_callback(asyncio.wait_for, running, WITHIN)
            stack.push_async_callback(worker.stop)
        await eventually(lambda: is_done(queue, BACKLOG), within=200)

    last = max(n for n, jobs in enumerate(got) if jobs)
    in_vain = got[:last].count(0)
    assert sum(got) == BACKLOG
    assert len(got[:last]) - in_vain <= BACKLOG
    assert in_vain <= MANY_WORKERS  # as if each had looked before there was anything


async def at_once(_: JobContext) -> None:
    return


async def fill(queue: JobQueue, jobs: int) -> None:
    priorities = ("low", "normal", "high")
    for first in range(0, jobs, 1000):
        some = range(first, min(jobs, first + 1000))
        new = [NewJob(job_type="quick", data={"op": f"{n}"}, priority=priorities[n % 3]) for n in some]
        await queue.enqueue_many(new)


@asynccontextmanager
async def workers_on(url: str, folder: Path) -> AsyncIterator[list[Actor]]:
    """Run workers until the block is left; they have begun when it is entered."""
    parts = [Part(f"worker-{n}", str(folder), url, lease=30.0, seed=n) for n in range(WORKERS)]
    actors = [Actor.of(WORKER, part) for part in parts]
    try:
        for actor in actors:
            actor.start()
        await eventually(
            lambda: any(isinstance(event, Started) for event in read_history(folder)), within=100
        )
        yield actors
    finally:
        for actor in actors:
            if actor.process is not None:
                await asyncio.to_thread(actor.process.end)


async def is_done(queue: JobQueue, jobs: int) -> bool:
    return (await queue.counts())["quick"] == {"complete": jobs}


async def all_jobs(queue: JobQueue):
    page = await queue.list_jobs(limit=200)
    found = list(page.items)
    while page.next_cursor is not None:
        page = await queue.list_jobs(limit=200, cursor=page.next_cursor)
        found += page.items
    return found


def memory_of(worker: Actor, figure: str) -> int:
    """Return a figure of a process's memory in KB."""
    assert worker.process is not None
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    return int(status.split(f"{figure}:")[1].split()[0])


async def test_posts_to_a_service_whose_redis_stands_still_are_refused_and_stored_once_it_goes_on(
    tmp_path: Path,
):
    server = RedisServer(tmp_path).start()
    try:
        with running_fleet(tmp_path, server.url) as started:
            url = str(started.api().base_url)
            async with httpx.AsyncClient(base_url=url, timeout=WITHIN) as client:
                server.pause()
                try:
                    answers = await asyncio.gather(*(post_as(client, f"first-{n}") for n in range(TOGETHER)))
                finally:
                    server.go_on()
                again = await asyncio.gather(*(post_as(client, f"first-{n}") for n in range(TOGETHER)))
                stored = (await client.get("/stats")).json()["counts"]["pending"]
    finally:
        server.stop()

    assert {(answer.status_code, answer.json().get("code")) for answer in answers} == {
        (httpx.codes.SERVICE_UNAVAILABLE, "backend-unavailable")
    }
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert {answer.status_code for answer in again} <= {httpx.codes.OK, httpx.codes.CREATED}
    assert stored == TOGETHER


async def post_as(client: httpx.AsyncClient, job_id: str) -> httpx.Response:
    return await client.post("/jobs", json={"job_type": "count", "id": job_id})
