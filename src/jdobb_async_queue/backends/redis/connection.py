"""The way to one Redis server: calls that survive a lost connection without running twice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from jdobb_async_queue.backends.forks import check_process
from jdobb_async_queue.backends.redis.faults import Remedy, is_denied, remedy_for, translated
from jdobb_async_queue.backends.redis.pool import CallPool
from jdobb_async_queue.backends.redis.urls import connection_options, shown
from jdobb_async_queue.errors import BackendUnavailable

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from jdobb_async_queue.backends.redis.scripts import Argument, Script

logger = logging.getLogger("jdobb_async_queue")

PATIENCE = 9.0
"""Seconds that a call goes on trying."""
_LAST_TRY = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.025, 1.0
RESENT = 3
"""The place of the argument that marks a call as sent again; see lua/run.lua."""


class Connection:
    """A pool of connections for calls; blocking calls have another, and subscriptions a client."""

    def __init__(self, url: str, rng: random.Random) -> None:
        self.place = shown(url)
        self.is_closing = False
        self._url, self._rng = url, rng
        self._calls: CallPool | None = None
        self._pid = os.getpid()
        self._denied: set[str] = set()
        self._pools: weakref.WeakSet[CallPool] = weakref.WeakSet()
        self._clients: weakref.WeakSet[redis.asyncio.ConnectionPool] = weakref.WeakSet()

    async def open(self) -> None:
        """Connect."""
        if self._calls is None:
            self._pid, self.is_closing = os.getpid(), False
            self._calls = self.new_pool()

    async def close(self) -> None:
        """Let go of all connections. Idempotent."""
        pools, self._calls = list(self._pools), None  # those that a call still uses, too
        for pool in pools:
            await pool.close()
        for client in list(self._clients):
            await _disconnect(client)

    def pools(self) -> list[object]:
        """Return what holds connections."""
        return [*self._pools, *self._clients]

    @property
    def is_forked(self) -> bool:
        """Tell whether this is a child of the process that connected."""
        return os.getpid() != self._pid

    def check_process(self) -> None:
        """Raise ``ForkedProcess`` in a child of the process that connected."""
        check_process(self._pid)

    def new_client(self) -> redis.asyncio.Redis:
        """Return a client with one connection of its own, for subscriptions.

        It does not connect again by itself: for a broken subscription the driver would, without a deadline.
        """
        options = connection_options(self._url) | {"retry": Retry(NoBackoff(), 0, ())}
        pool = redis.asyncio.ConnectionPool.from_url(self._url, max_connections=1, **options)
        self._clients.add(pool)
        client = redis.asyncio.Redis(connection_pool=pool)
        client.response_callbacks.clear()  # the driver's views of replies differ between its versions
        return client

    def tell_broken(self, what: str, error: Exception) -> None:
        """Log that a connection broke off: loudly, but once, where it will never hold."""
        if is_denied(error) and what not in self._denied:
            self._denied.add(what)
            logger.warning("%s does not allow %s, so everything takes longer: %s", self.place, what, error)
        else:
            logger.debug("%s: %s broke off, connecting again: %s", self.place, what, error)

    async def command(self, *arguments: Argument) -> Any:
        """Send one command that may be sent twice without harm."""
        return await self._patiently([*arguments], None)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script; its arguments follow ``lua/run.lua``."""
        call: list[Argument] = ["EVALSHA", script.sha, len(keys), *keys, *arguments]
        return await self._patiently(call, script)

    async def _patiently(self, call: list[Argument], script: Script | None) -> Any:
        self.check_process()
        loop = asyncio.get_running_loop()
        ends = loop.time() + PATIENCE
        attempt = 0
        while True:
            pool = self._calls
            if pool is None:
                raise BackendUnavailable(f"{self.place} is not open")
            try:
                if not attempt:
                    return await pool.call(call)
                return await asyncio.wait_for(pool.call(call), max(ends - loop.time(), _LAST_TRY))
            except Exception as error:
                if self._calls is None:
                    raise BackendUnavailable(f"{self.place} is closed") from error
                remedy = remedy_for(error)
                is_late = loop.time() >= ends and remedy is not Remedy.LOAD
                if remedy is Remedy.NONE or is_late:
                    raise translated(error, self.place) from error
            attempt += 1
            if remedy is Remedy.LOAD and script is not None:  # only once: a text needs no loading
                call = ["EVAL", script.text, *call[2:]]
                continue
            if remedy is Remedy.RESEND and script is not None:
                call[3 + int(call[2]) + RESENT] = "1"
            if remedy in {Remedy.RESEND, Remedy.RECONNECT} and self._calls is pool:
                self._calls = self.new_pool()
                pool.leave()
            await asyncio.sleep(self._pause(attempt))

    def new_pool(self) -> CallPool:
        """Return connections of their own, for calls."""
        pool = CallPool(self._url)
        self._pools.add(pool)
        return pool

    def _pause(self, attempt: int) -> float:
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt, 10))
        return longest * (0.5 + 0.5 * self._rng.random())


async def hang_up(client: redis.asyncio.Redis) -> None:
    """Close a client's connections."""
    await _disconnect(client.connection_pool)


async def _disconnect(pool: redis.asyncio.ConnectionPool) -> None:
    with contextlib.suppress(exceptions.RedisError, OSError, asyncio.TimeoutError):
        await pool.disconnect()


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended: a driver's timeout may take a cancellation for its own."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
