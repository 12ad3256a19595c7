"""The stores of a run, and what they look like when it is over."""

from __future__ import annotations

import asyncio
import sqlite3
import traceback
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from chaos.stage.aof import Marks
from jdobb_async_queue.clock import SystemClock
from tests.support.proxy import Proxy
from tests.support.redis_invariants import check_database
from tests.support.redis_server import RedisServer, server_binary
from tests.support.sqlite_invariants import check_file

APPENDFSYNC = {"full": "always", "normal": "everysec"}


class Store(ABC):
    """Where the jobs of a run are."""

    kind: str
    durability: str

    @property
    @abstractmethod
    def url(self) -> str:
        """Return its address for those who reach it directly."""

    @abstractmethod
    def version(self) -> str:
        """Return what it is, for the report."""

    async def start(self) -> None:
        """Make it ready."""
        return

    async def stop(self) -> None:
        """Let go of it."""
        return

    async def defects(self) -> list[str]:
        """Return what is wrong with it now that nobody uses it (I12)."""
        return []


class MemoryStore(Store):
    """Jobs in the process of the service."""

    kind, durability = "memory", "none"

    @property
    def url(self) -> str:
        """Return its address."""
        return "memory://"

    def version(self) -> str:
        """Return what it is."""
        return "memory"


class SqliteStore(Store):
    """Jobs in a file."""

    kind = "sqlite"

    def __init__(self, folder: Path, durability: str) -> None:
        self.path = (folder / "jobs.db").resolve()
        self.durability = durability

    @property
    def url(self) -> str:
        """Return its address."""
        return f"sqlite:///{self.path}"

    def version(self) -> str:
        """Return what it is."""
        return f"SQLite {sqlite3.sqlite_version}"

    async def defects(self) -> list[str]:
        """Check the file itself, and that all rows and counters agree with the jobs."""
        return await _defects_found_by(check_file(self.path, SystemClock()))


class RedisStore(Store):
    """Jobs in a Redis server, reached by workers and producers through a proxy."""

    kind = "redis"

    def __init__(self, folder: Path, durability: str) -> None:
        self.durability = durability
        self.folder = folder / "redis"
        self.folder.mkdir()
        self.server = RedisServer(
            self.folder, "--appendonly", "yes", "--appendfsync", APPENDFSYNC[durability]
        )  # fmt: skip
        self.proxy = Proxy(self.server.port)
        self.marks = Marks(self.server)
        self._marking: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Return its address, which is the proxy's."""
        return self.proxy.url

    def version(self) -> str:
        """Return what it is."""
        return f"{Path(server_binary()).name} {self.server.figure('redis_version')}"

    async def start(self) -> None:
        """Start the server and the proxy."""
        self.server.start()
        await self.proxy.__aenter__()
        self._marking = asyncio.ensure_future(self.marks.keep())

    async def stop(self) -> None:
        """Stop both."""
        if self._marking is not None:
            self._marking.cancel()
        await self.proxy.__aexit__(None, None, None)
        self.server.stop()

    async def defects(self) -> list[str]:
        """Check that all keys agree with the jobs."""
        return await _defects_found_by(check_database(self.server.url, SystemClock()))


def new_store(kind: str, folder: Path, durability: str) -> Store:
    """Return the store of a kind."""
    makers: dict[str, Any] = {"sqlite": SqliteStore, "redis": RedisStore}
    return MemoryStore() if kind == "memory" else makers[kind](folder, durability)


async def _defects_found_by(check: Coroutine[Any, Any, None]) -> list[str]:
    """Return what a check asserted in vain: its statement, and what it says."""
    try:
        await check
    except AssertionError as error:
        statement = traceback.extract_tb(error.__traceback__)[-1].line
        return [f"I12: {statement}: {error}"]
    return []
