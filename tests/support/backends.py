"""The backends that the contract suite runs over. A backend joins by one line in ``KINDS``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from jdobb_async_queue import QueueBackend
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.backends.redis import RedisBackend
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from jdobb_async_queue.clock import Clock
from tests.support.redis_invariants import check_database
from tests.support.redis_server import database_url
from tests.support.sqlite_invariants import check_file


async def _nothing(_folder: Path, _clock: Clock) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """A backend under test: ``make(folder, clock, namespace)`` returns one on the store in that folder.

    ``check(folder, clock)`` asserts that the store, in which no call is under way, is sound.
    """

    name: str
    make: Callable[[Path, Clock, str], QueueBackend]
    check: Callable[[Path, Clock], Awaitable[None]] = _nothing

    def __str__(self) -> str:
        return self.name


def _memory(_folder: Path, clock: Clock, namespace: str) -> QueueBackend:
    return MemoryBackend(namespace=namespace, clock=clock)


def _sqlite_file(folder: Path, clock: Clock, namespace: str) -> QueueBackend:
    return SQLiteBackend(f"sqlite:///{folder / 'jobs.db'}", namespace=namespace, clock=clock)


async def _check_sqlite_file(folder: Path, clock: Clock) -> None:
    if (folder / "jobs.db").is_file():
        await check_file(folder / "jobs.db", clock)


def _sqlite_memory(_folder: Path, clock: Clock, namespace: str) -> QueueBackend:
    return SQLiteBackend("sqlite:///:memory:", namespace=namespace, clock=clock)


def _redis(folder: Path, clock: Clock, namespace: str) -> QueueBackend:
    return RedisBackend(database_url(folder), namespace=namespace, clock=clock)


async def _check_redis(folder: Path, clock: Clock) -> None:
    await check_database(database_url(folder), clock)


KINDS = [
    Kind("memory", _memory),
    Kind("sqlite-file", _sqlite_file, _check_sqlite_file),
    Kind("sqlite-memory", _sqlite_memory),
    Kind("redis", _redis, _check_redis),
]
