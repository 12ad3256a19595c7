"""Readers that are cut off again and again, at two processes on one store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from jdobb_async_queue import Broadcaster, JobQueue
from tests.support.fleet import Fleet, fleet_on, post
from tests.support.waiting import WITHIN

READERS, UPDATES, CUTS = 12, 200, 150
FEWEST_BYTES, MOST_BYTES = 40, 3000
"""What a reader takes of one connection: at most a dozen events."""


@pytest.fixture(params=["sqlite", "redis"])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(request.param, tmp_path) as started:
        yield started


class Reader:
    """Reads a stream as a browser does: a whole event counts, and its id is sent at the next connect."""

    def __init__(self, clients: list[httpx.AsyncClient], path: str) -> None:
        self._clients, self._path = clients, path
        self.last: str | None = None
        self.ids: list[str] = []
        self.ends = self.cuts = 0
        self.began = asyncio.Event()

    async def read(self, dice: random.Random | None = None) -> None:
        """Read until nothing can follow; with ``dice``, cut the connection off after some bytes."""
        turn = 0
        while True:
            client = self._clients[turn % len(self._clients) if dice is None else dice.randrange(2)]
            headers = {} if self.last is None else {"last-event-id": self.last}
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
            bytes_left = len(chunk) if patience is None or self.last is None else patience - taken
            taken += len(chunk)
            *whole, rest = (rest + chunk[:bytes_left]).split(b"\n\n")
            for block in whole:
                self._note(block)
            if patience is not None and self.last is not None and taken >= patience:
                return True
        return False

    def _note(self, block: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
        if "data" not in fields:
            return
        self.last = fields.get("id", self.last)
        assert fields.get("event", "message") in {"message", "end"}
        if fields.get("event") == "end":
            self.ends += 1
        else:
            assert self.last is not None
            self.ids.append(self.last)
        self.began.set()


async def test_readers_cut_off_at_random_see_what_an_uninterrupted_one_sees(processes: Fleet):
    replicas = [str(processes.api().base_url), str(processes.api().base_url)]
    with httpx.Client(base_url=replicas[0], timeout=WITHIN) as client:
        job_id = post(client, "by-hand")
    limits = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60, limits=limits))
            for url in replicas
        ]
        queue = await stack.enter_async_context(JobQueue.from_url(processes.url))
        path = f"/jobs/{job_id}/events"
        calm = [Reader([client], path) for client in clients]
        cut_off = [Reader(clients, path) for _ in range(READERS)]
        reading = [asyncio.create_task(reader.read()) for reader in calm]
        reading += [
            asyncio.create_task(reader.read(random.Random(number)))  # noqa: S311 - a seeded choice
            for number, reader in enumerate(cut_off)
        ]
        async with asyncio.timeout(3 * WITHIN):
            for reader in [*calm, *cut_off]:
                await reader.began.wait()
            broadcaster = Broadcaster(queue)
            for number in range(UPDATES - 1):
                assert await broadcaster.send(job_id, message=f"update {number}")
            assert await queue.complete(job_id, {"n": UPDATES})
            await asyncio.gather(*reading)

    expected = calm[0].ids
    assert len(expected) == 1 + UPDATES
    assert [int(seq) for seq in expected] == sorted({int(seq) for seq in expected})
    assert calm[1].ids == expected
    assert [reader.ends for reader in calm] == [1, 1]
    for reader in cut_off:
        assert reader.ids == expected
    assert sum(reader.cuts for reader in cut_off) >= CUTS
