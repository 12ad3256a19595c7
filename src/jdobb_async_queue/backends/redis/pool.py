"""The driver's connections, one call at a time on each, without what its client does around a call.

The client and its pools look at an idle connection before each call, count, time and report: a sixth
of the time of an enqueue. Here a connection that broke while it was idle is found by the call that fails on
it, and a call that failed is sent again anyway; see ``connection.py``. Commands are packed in C: a call has
some hundred arguments, and the driver's Python took 218 µs for what takes 24.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

import hiredis
import redis.asyncio
from redis import exceptions

from jdobb_async_queue.backends.redis.urls import connection_options

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout  # type: ignore[import-not-found,unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jdobb_async_queue.backends.redis.scripts import Argument

__all__ = ["TIMEOUT", "CallPool", "timeout"]

TIMEOUT = 5.0
"""Seconds within which a call must have its reply; the driver's own two limits take a task for each call."""


class CallPool:
    """Connections to one server: as many as there are calls at once, and idle ones are used again."""

    def __init__(self, url: str) -> None:
        self._driver = redis.asyncio.ConnectionPool.from_url(url, **connection_options(url))
        self._idle: list[Any] = []
        self._busy: set[Any] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._is_left = False

    async def call(self, arguments: Sequence[Argument], within: float | None = None) -> Any:
        """Send one command and return its reply, in so many seconds. Raises the driver's errors."""
        link = self._idle.pop() if self._idle else self._driver.make_connection()  # type: ignore[no-untyped-call,unused-ignore]
        self._busy.add(link)
        is_answered = False
        try:
            packed = hiredis.pack_command(tuple(arguments))  # type: ignore[arg-type,unused-ignore]
            async with timeout(TIMEOUT if within is None else within):
                if not link.is_connected:
                    await link.connect()
                await link.send_packed_command(packed)
                reply = await link.read_response()
            is_answered = True
        except exceptions.ResponseError:
            is_answered = True
            raise
        else:
            return reply
        finally:
            self._busy.discard(link)
            if is_answered and link.is_connected and not self._is_left:
                self._idle.append(link)
            else:
                self._hang_up(link)  # its reply may still be under way

    def leave(self) -> None:
        """Close what is idle now, and each other connection when its call has ended."""
        self._is_left = True
        idle, self._idle = self._idle, []
        for link in idle:
            self._hang_up(link)

    async def close(self) -> None:
        """Close all connections; calls that are under way fail."""
        self.leave()
        for link in self._busy:
            self._hang_up(link)
        while self._ending:
            await asyncio.wait(self._ending)

    def _hang_up(self, link: Any) -> None:
        """Close a connection beside the caller, whom a cancellation may end before it is closed."""
        task = asyncio.ensure_future(_disconnect(link))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _disconnect(link: Any) -> None:
    with contextlib.suppress(exceptions.RedisError, OSError, asyncio.TimeoutError):
        await link.disconnect()
