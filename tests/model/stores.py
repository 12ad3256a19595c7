"""The stores that histories run on, and how each is opened again and how it crashes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jdobb_async_queue import JobQueue, QueueBackend
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.backends.redis import RedisBackend
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from tests.support.clock import ManualClock
from tests.support.leaping import LeapingLoop
from tests.support.redis_invariants import check_database
from tests.support.redis_server import RedisServer
from tests.support.sqlite_invariants import check_file

UPDATES_KEPT = 12
"""So few that logs are trimmed within a history."""


class Store:
    """One history's store, with the queues that are open on it.

    ``outlives`` tells whether it keeps its jobs when nobody has it open.
    """

    outlives = False
    openings = 1
    """How many programs use it at once."""

    def __init__(self, clock: ManualClock, **options: Any) -> None:
        self.clock, self.options = clock, options
        self.loop = self.new_loop()
        self.queues = [self._queue() for _ in range(self.openings)]
        self._turn = 0

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def make(self, **options: Any) -> QueueBackend:
        """Return a backend on this store."""
        raise NotImplementedError

    async def check(self) -> None:
        """Assert that the store, in which no call is under way, is sound."""

    @property
    def queue(self) -> JobQueue:
        """Return one of the open queues, each in its turn."""
        self._turn += 1
        return self.queues[self._turn % len(self.queues)]

    async def reopen(self) -> None:
        """Close in good order and open anew."""
        for queue in self.queues:
            await queue.close()
        self.queues = [self._queue() for _ in range(self.openings)]

    async def crash(self) -> None:
        """End without closing anything, and open what is left."""
        raise NotImplementedError

    async def close(self) -> None:
        for queue in self.queues:
            await queue.close()

    def _queue(self) -> JobQueue:
        return JobQueue(self.make(clock=self.clock, updates_kept=UPDATES_KEPT), **self.options)


class Memory(Store):
    """The memory of one process; time in its event loop passes by itself."""

    backend_type: Callable[..., QueueBackend] = MemoryBackend

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return LeapingLoop()

    def make(self, **options: Any) -> QueueBackend:
        return self.backend_type(**options)


class SQLiteMemory(Store):
    """SQLite without a file."""

    def make(self, **options: Any) -> QueueBackend:
        return SQLiteBackend("sqlite:///:memory:", **options)


class SQLiteFile(Store):
    """An SQLite file that two programs have open."""

    outlives = True
    openings = 2

    def __init__(self, clock: ManualClock, **options: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sqlite-")
        self._crashes = 0
        super().__init__(clock, **options)

    @property
    def file(self) -> Path:
        return Path(self._folder.name) / str(self._crashes) / "jobs.db"

    def make(self, **options: Any) -> QueueBackend:
        self.file.parent.mkdir(exist_ok=True)
        return SQLiteBackend(f"sqlite:///{self.file}", **options)

    async def check(self) -> None:
        await check_file(self.file, self.clock)

    async def crash(self) -> None:
        """Go on with what a killed process would have left: the files as they stand, none of them closed."""
        left, abandoned = self.file.parent, self.queues
        self._crashes += 1
        # By another process: whoever opens and closes a file drops all locks that his process has on it.
        copying = await asyncio.create_subprocess_exec("cp", "-R", left, self.file.parent)
        assert await copying.wait() == 0
        self.queues = [self._queue() for _ in range(self.openings)]
        for queue in abandoned:
            await queue.close()

    async def close(self) -> None:
        await super().close()
        self._folder.cleanup()


class Redis(Store):
    """A Redis server that keeps all it acknowledged, used by two programs."""

    outlives = True
    openings = 2

    def __init__(self, clock: ManualClock, server: RedisServer, **options: Any) -> None:
        self.server = server
        server.command("FLUSHALL")
        super().__init__(clock, **options)

    def make(self, **options: Any) -> QueueBackend:
        return RedisBackend(self.server.url, **options)

    async def check(self) -> None:
        await check_database(self.server.url, self.clock)

    async def crash(self) -> None:
        """Kill the server and start it again; the programs go on with the connections that they had."""
        self.server.kill()
        self.server.start()
