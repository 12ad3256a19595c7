"""How fast producers go: evenly, and not while a backlog is already there."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

_LOOK_EVERY = 0.5


class Pace:
    """Gives a start to whoever waits, so many a second; none while ``is_full`` says so, or after SIGTERM."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._room = asyncio.Event()
        self._room.set()
        self._over = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._next = loop.time()
        loop.add_signal_handler(signal.SIGTERM, self._over.set)

    @property
    def is_over(self) -> bool:
        """Tell whether nothing new is to be begun."""
        return self._over.is_set()

    async def next(self) -> bool:
        """Wait for the next start; False when there is none any more."""
        loop = asyncio.get_running_loop()
        self._next = max(self._next + self._gap, loop.time() - 1.0)
        await self.sleep(self._next - loop.time())
        while not self._room.is_set() and not self.is_over:
            await self.sleep(_LOOK_EVERY)
        return not self.is_over

    async def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until it is over."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), seconds)

    async def watch_backlog(self, backlog: Callable[[], Awaitable[int]], most: int) -> None:
        """Hold starts back while there are more jobs than ``most`` waiting, for as long as this runs."""
        while True:
            try:
                waiting = await backlog()
            except Exception:  # noqa: BLE001 - a store that is away says nothing about the backlog
                waiting = 0
            (self._room.clear if waiting > most else self._room.set)()
            await asyncio.sleep(_LOOK_EVERY)
