"""The one event that says: this process is going down."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Closing:
    """Set once, when the process was told to stop; streams, waits and workers end on it.

    Servers tell an application of their shutdown only after every response has ended, which a stream
    never does by itself: so signals are watched here, whichever server runs the application.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._urgent = asyncio.Event()
        self._calls: dict[object, Callable[[], object]] = {}

    @property
    def is_set(self) -> bool:
        """Tell whether the process is going down."""
        return self._event.is_set()

    def set(self) -> None:
        """Begin; only on the event loop's thread."""
        self._event.set()
        for call in list(self._calls.values()):
            call()

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """Call this once the process goes down, unless the block was left before."""
        key = object()
        self._calls[key] = call
        if self.is_set:
            asyncio.get_running_loop().call_soon(call)
        try:
            yield
        finally:
            del self._calls[key]

    async def wait(self) -> None:
        """Wait until the process is going down."""
        await self._event.wait()

    def hurry(self) -> None:
        """Let nothing that still runs finish any more; only on the event loop's thread."""
        self._urgent.set()

    async def wait_for_hurry(self) -> None:
        """Wait until the process is going down at once."""
        await self._urgent.wait()

    @contextmanager
    def watch_signals(self) -> Iterator[None]:
        """Set the event on SIGTERM and SIGINT, then do what the handler before would have done."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        installed: list[tuple[signal.Signals, Any, Any]] = []
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if callable(before):
                handler = self._chained(loop, before)
                signal.signal(number, handler)
                installed.append((number, handler, before))
        try:
            yield
        finally:
            for number, handler, before in installed:
                if signal.getsignal(number) is handler:
                    signal.signal(number, before)

    def _chained(self, loop: asyncio.AbstractEventLoop, before: Any) -> Any:
        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.set)
            before(number, frame)

        return handle
