"""Readers that are cut off again and again, at two processes on one store."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from jdobb_async_queue import Broadcaster, JobQueue
from tests.support.fleet import Fleet, fleet_on
from tests.support.waiting import WITHIN

READERS, CUTS = 12, 150
UPDATES = 200
JOBS, UPDATES_EACH = 6, 30
FEWEST_BYTES, MOST_BYTES = 40, 3000
"""What a reader takes of one connection: at most a dozen events."""


@pytest.fixture(params=["sqlite", "redis"])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(request.param, tmp_path) as started:
        yield started


@pytest.fixture
async def queue(processes: Fleet) -> AsyncIterator[JobQueue]:
    async with JobQueue.from_url(processes.url) as queue:
        yield queue


class Reader:
    """Reads a stream as a browser does: a whole event counts, and its id is sent at the next connect."""

    def __init__(self, clients: list[httpx.AsyncClient], path: str, *, jobs: int) -> None:
        self._clients, self._path, self._jobs = clients, path, jobs
        self._last: str | None = None
        self.seen: dict[str, list[int]] = defaultdict(list)
        """The seqs of each job's updates, as they came; the first is that of how the job stood."""
        self.ended: set[str] = set()
        self.cuts = 0
        self.began = asyncio.Event()
        """It has seen how each job stands."""

    async def read(self, dice: random.Random | None = None) -> None:
        """Read until nothing can follow; with ``dice``, cut the connection off after some bytes."""
        turn = 0
        while True:
            client = self._clients[turn % len(self._clients) if dice is None else dice.randrange(2)]
            headers = {} if self._last is None else {"last-event-id": self._last}
            async with client.stream("GET", self._path, headers=headers) as answer:
                if answer.status_code == httpx.codes.NO_CONTENT:
                    return
                assert answer.status_code == httpx.codes.OK
                patience = None if dice is None else dice.randrange(FEWEST_BYTES, MOST_BYTES)
                self.cuts += await self._take(answer.aiter_raw(), patience)
            turn += 1

    async def _take(self, chunks: AsyncIterator[bytes], patience: int | None) -> bool:
        """Take whole events; tell whether the connection is to be cut off before its end."""
        taken, rest = 0, b""
        async for chunk in chunks:
            bytes_left = len(chunk) if patience is None or self._last is None else patience - taken
            taken += len(chunk)
            *whole, rest = (rest + chunk[:bytes_left]).split(b"\n\n")
            for block in whole:
                self._note(block)
            if patience is not None and self._last is not None and taken >= patience:
                return True
        return False

    def _note(self, block: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
        if "data" not in fields:
            return
        self._last = fields["id"]
        said = json.loads(fields["data"])
        if fields.get("event") == "end":
            self.ended.add(said["job_id"])
            return
        assert "event" not in fields
        self.seen[said["job_id"]].append(said["seq"])
        if len(self.seen) == self._jobs:
            self.began.set()


@dataclass(frozen=True)
class Audience:
    """Two readers that read on, each at a process of its own, and some that are cut off at random."""

    calm: list[Reader]
    cut_off: list[Reader]

    @property
    def all(self) -> list[Reader]:
        return [*self.calm, *self.cut_off]


@asynccontextmanager
async def watching(processes: Fleet, job_ids: list[str], path: str) -> AsyncIterator[Audience]:
    """Yield an audience that knows how the jobs stand; with the block, it reads until nothing can follow."""
    replicas = [str(processes.api().base_url) for _ in range(2)]
    limits = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=WITHIN, limits=limits))
            for url in replicas
        ]
        calm = [Reader([client], path, jobs=len(job_ids)) for client in clients]
        cut_off = [Reader(clients, path, jobs=len(job_ids)) for _ in range(READERS)]
        audience = Audience(calm, cut_off)
        async with asyncio.timeout(3 * WITHIN), asyncio.TaskGroup() as reading:
            for reader in calm:
                reading.create_task(reader.read())
            for number, reader in enumerate(cut_off):
                reading.create_task(reader.read(random.Random(number)))  # noqa: S311 - a seeded choice
            for reader in audience.all:
                await reader.began.wait()
            yield audience


async def published(queue: JobQueue, job_id: str) -> list[int]:
    """Return the seqs of all updates of a job that has ended, as its log has them."""
    return [update.seq async for update in Broadcaster(queue).subscribe(job_id, after=0)]


async def test_a_reader_cut_off_at_random_sees_each_update_of_a_job_once(processes: Fleet, queue: JobQueue):
    job_id = await queue.enqueue("by-hand")
    async with watching(processes, [job_id], f"/jobs/{job_id}/events") as audience:
        for number in range(UPDATES - 1):
            assert await Broadcaster(queue).send(job_id, message=f"update {number}")
        assert await queue.complete(job_id, {"n": UPDATES})

    expected = {job_id: [0, *await published(queue, job_id)]}
    assert len(expected[job_id]) == 1 + UPDATES
    assert [reader.ended for reader in audience.calm] == [{job_id}] * 2
    for reader in audience.all:
        assert reader.seen == expected
    assert sum(reader.cuts for reader in audience.cut_off) >= CUTS


async def test_a_reader_cut_off_at_random_sees_each_update_of_many_jobs_once(
    processes: Fleet, queue: JobQueue
):
    job_ids = [await queue.enqueue("by-hand") for _ in range(JOBS)]
    ends = [queue.complete, queue.cancel, lambda job_id: queue.fail(job_id, "boom")]

    async def live(number: int, job_id: str) -> None:
        steps = UPDATES_EACH + number  # they end one after another
        for step in range(1, steps):
            assert await queue.update(job_id, step / steps, f"step {step}")
        assert await ends[number % len(ends)](job_id)

    path = "/events?" + "&".join(f"job={job_id}" for job_id in job_ids)
    async with watching(processes, job_ids, path) as audience:
        await asyncio.gather(*(live(number, job_id) for number, job_id in enumerate(job_ids)))

    expected = {job_id: [0, *await published(queue, job_id)] for job_id in job_ids}
    lengths = [len(expected[job_id]) for job_id in job_ids]
    assert lengths == [1 + UPDATES_EACH + number for number in range(JOBS)]
    assert [reader.ended for reader in audience.calm] == [set(job_ids)] * 2
    for reader in audience.all:
        assert reader.seen == expected
    assert sum(reader.cuts for reader in audience.cut_off) >= CUTS
