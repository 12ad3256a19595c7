"""The workers that reach the queue over HTTP, in the registry of workers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jdobb_async_queue import JobQueue

_REFRESH_EVERY = 10.0
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Entry:
    """What a worker said of itself, in this process or another."""

    started_at: datetime
    host: str = ""
    slots: int = 1
    job_types: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    stopping: tuple[str, ...] = field(default=())
    stored_at: float = float("-inf")
    """When the entry was stored last, by the loop's clock."""


class HttpWorkers:
    """Keeps the registry's entries of HTTP workers fresh.

    Claims say which job types a worker takes, heartbeats what it runs: each completes the entry that the
    other began, wherever that was. Claims store it every ten seconds at most.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    async def claims(self, worker_id: str, host: str, job_types: Iterable[str], slots: int) -> None:
        """Note that a worker asks for up to ``slots`` jobs of these types (none: of every type)."""
        entry = await self._entry(worker_id)
        said = (host, tuple(dict.fromkeys(job_types)), max(slots, len(entry.jobs)))
        is_news = said != (entry.host, entry.job_types, entry.slots)
        entry.host, entry.job_types, entry.slots = said
        if is_news or asyncio.get_running_loop().time() - entry.stored_at > _REFRESH_EVERY:
            await self._store(worker_id, entry)

    async def beats(self, worker_id: str, host: str, jobs: Iterable[str], stopping: Iterable[str]) -> str:
        """Note what a worker runs and has to give up, and return what it has been told."""
        entry = await self._entry(worker_id)
        entry.host, entry.jobs, entry.stopping = host, tuple(jobs), tuple(stopping)
        entry.slots = max(entry.slots, len(entry.jobs))
        return await self._store(worker_id, entry)

    async def _entry(self, worker_id: str) -> _Entry:
        entry = self._entries.get(worker_id)
        if entry is None:
            entry = self._entries.setdefault(worker_id, await self._stored(worker_id))
        self._entries.move_to_end(worker_id)
        while len(self._entries) > _REMEMBERED:
            self._entries.popitem(last=False)
        return entry

    async def _stored(self, worker_id: str) -> _Entry:
        for known in await self._queue.workers():
            if known.id == worker_id:
                return _Entry(
                    started_at=known.started_at,
                    host=known.host,
                    slots=known.slots,
                    job_types=tuple(known.job_types),
                    jobs=tuple(known.jobs),
                    stopping=tuple(known.stopping),
                )
        return _Entry(started_at=datetime.fromtimestamp(self._queue.backend.now() / 1000, UTC))

    async def _store(self, worker_id: str, entry: _Entry) -> str:
        directive = await self._queue.register_worker(
            worker_id,
            host=entry.host,
            slots=entry.slots,
            job_types=entry.job_types,
            jobs=entry.jobs,
            stopping=entry.stopping,
            started_at=entry.started_at,
        )
        entry.stored_at = asyncio.get_running_loop().time()
        return directive
