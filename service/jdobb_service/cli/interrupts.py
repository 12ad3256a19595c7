"""Ctrl-C where asyncio alone would lose it or what it interrupts: reading that blocks, and work in steps."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Self, TypeVar

from jdobb_service.cli.output import note

T = TypeVar("T")


def read_blocking(read: Callable[[], T]) -> T:
    """Return what a call reads, while Ctrl-C raises ``KeyboardInterrupt``: the event loop stands still."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        return read()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # it came a moment ago
            raise KeyboardInterrupt
        return read()
    finally:
        signal.signal(signal.SIGINT, before)


class Steps:
    """Work in steps, one after the other; Ctrl-C lets the one under way end, and again abandons it.

    A context manager, inside which Ctrl-C means this.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._before: Any = signal.SIG_IGN
        self._under_way: asyncio.Task[Any] | None = None
        self._is_asked = False
        self.is_abandoned = False
        """Whether a step was given up, so that nobody knows how much of it was done."""

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._before)

    async def finish(self, step: Coroutine[Any, Any, T]) -> T:
        """Return what a step comes to. Raises ``KeyboardInterrupt`` when it is abandoned."""
        running: asyncio.Task[T] = asyncio.ensure_future(step)
        self._under_way = running
        try:
            return await running
        except asyncio.CancelledError:
            if not self.is_abandoned:
                raise
            raise KeyboardInterrupt from None
        finally:
            self._under_way = None

    def go_on(self) -> None:
        """Raise ``KeyboardInterrupt`` when Ctrl-C came during the last step."""
        if self._is_asked:
            raise KeyboardInterrupt

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._under_way is None:
            raise KeyboardInterrupt
        if self._is_asked:
            self.is_abandoned = True
            self._loop.call_soon_threadsafe(self._under_way.cancel)
        else:
            self._is_asked = True
            note("stopping after the step under way (Ctrl-C again stops at once)")
