"""Task factories that begin a task at once, inside the call that makes it, as programs may choose them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any


class _Begun(Coroutine):
    """A coroutine whose first step has been made; what came of it is told at the next."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._first: Callable[[], Any] | None = None

    def begin(self) -> None:
        try:
            waits_for = self._coroutine.send(None)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the task
            failure = error
            self._first = lambda: _throw(failure)
        else:
            self._first = lambda: waits_for

    def send(self, value: Any) -> Any:
        if self._first is None:
            return self._coroutine.send(value)
        first, self._first = self._first, None
        return first()

    def throw(self, *error: Any) -> Any:
        first, self._first = self._first, None
        if first is not None and self._coroutine.cr_frame is None:
            return first()
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self


def _throw(error: BaseException) -> Any:
    raise error


def hand_made(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task and its first step, on any Python; one that ends with it is done at the next turn."""
    if not loop.is_running():
        return asyncio.Task(coroutine, loop=loop, **options)
    begun = _Begun(coroutine)
    task = asyncio.Task(begun, loop=loop, **options)
    outer = asyncio.current_task(loop)
    if outer is not None:
        asyncio._leave_task(loop, outer)
    asyncio._enter_task(loop, task)
    try:
        begun.begin()
    finally:
        asyncio._leave_task(loop, task)
        if outer is not None:
            asyncio._enter_task(loop, outer)
    return task


FACTORIES = {"hand-made": hand_made}
if sys.version_info >= (3, 12):
    FACTORIES["asyncio's"] = asyncio.eager_task_factory
