"""Operations of many coroutines that leave together: what comes while a call is in flight is the next call.

Nothing waits for a timer: an operation that finds nothing in flight goes at once. A call runs in a task of
its own, so that a cancelled caller harms no neighbour.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.redis.faults import refused
from jdobb_async_queue.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from jdobb_async_queue.backends.redis.scripts import Argument, Operation

    Send = Callable[[str, list[Argument]], Awaitable[list[Any]]]
    Undo = Callable[[Any], None]

MAX_OPERATIONS = 64
MAX_BYTES = 262_144
_MOST_WAITING = 10_000


@dataclass(slots=True)
class _Waiting:
    operation: Operation
    future: asyncio.Future[Any]
    undo: Undo | None


class Lane:
    """One script's calls, one at a time.

    ``send`` takes the script's name and the operations' arguments, and returns their answers.
    """

    def __init__(self, name: str, place: str, send: Send, *, max_operations: int = MAX_OPERATIONS) -> None:
        self._name, self._place, self._send = name, place, send
        self._max_operations = max_operations
        self._waiting: deque[_Waiting] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def call(self, operation: Operation, *, undo: Undo | None = None) -> Any:
        """Do an operation and return its answer.

        ``undo`` is given the answer if the caller was cancelled meanwhile and will never know it.
        """
        while not self._closed and len(self._waiting) >= _MOST_WAITING:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise BackendUnavailable(f"{self._place} is closed")
        future = asyncio.get_running_loop().create_future()
        self._add(_Waiting(operation, future, undo))
        try:
            return await future
        except asyncio.CancelledError:
            if undo is not None and not future.cancelled() and future.exception() is None:
                undo(future.result())
            raise

    def drop(self, operation: Operation) -> None:
        """Do an operation whose answer nobody waits for."""
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._add(_Waiting(operation, future, None))

    def _add(self, item: _Waiting) -> None:
        self._waiting.append(item)
        if self._task is None:
            self._start()

    def _start(self) -> None:
        self._task = asyncio.ensure_future(self._work())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Go on if something came at the last moment; the task may also have been cancelled unbegun."""
        self._task = None
        if task.cancelled():
            self._refuse_waiting(_for_callers(asyncio.CancelledError(), self._place))
        if self._waiting:
            self._start()

    async def close(self, within: float) -> None:
        """Finish what was called, in so many seconds or not at all, and refuse what comes later."""
        self._closed = True
        self._room.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within)
        while self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.1)
            await asyncio.sleep(0)  # one that has ended is forgotten at the loop's next turn

    async def _work(self) -> None:
        while self._waiting:
            await self._flush()

    async def _flush(self) -> None:
        batch = self._next()
        if not batch:
            return
        arguments: list[Argument] = []
        for item in batch:
            arguments += (item.operation.name, len(item.operation.arguments), *item.operation.arguments)
        try:
            answers = await self._send(self._name, arguments)
        except BaseException as error:  # noqa: BLE001 - it is every caller's
            failure = _for_callers(error, self._place)
            _refuse(batch, failure)
            if isinstance(failure, BackendUnavailable):  # those behind have waited for the same server
                self._refuse_waiting(failure)
            return
        for item, answer in zip(batch, answers, strict=True):
            self._answer(item, answer)

    def _refuse_waiting(self, failure: BaseException) -> None:
        waiting, self._waiting = self._waiting, deque()
        _refuse(waiting, failure)
        self._room.set()

    def _next(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < self._max_operations:
            item = self._waiting[0]
            if item.future.done():
                self._waiting.popleft()
                continue
            size += item.operation.size
            if batch and size > MAX_BYTES:
                break
            batch.append(self._waiting.popleft())
        if len(self._waiting) < _MOST_WAITING:
            self._room.set()
        return batch

    def _answer(self, item: _Waiting, answer: Any) -> None:
        said = answer[0]
        failed = isinstance(said, list) and said[:1] == [b"!"]
        if item.future.done():
            if item.undo is not None and not failed:
                item.undo(answer)
        elif failed:
            item.future.set_exception(refused(said[1].decode(), self._place))
        else:
            item.future.set_result(answer)


def _refuse(items: Iterable[_Waiting], failure: BaseException) -> None:
    for item in items:
        if not item.future.done():
            item.future.set_exception(failure)


def _for_callers(error: BaseException, place: str) -> BaseException:
    if isinstance(error, asyncio.CancelledError):
        return BackendUnavailable(f"{place}: the event loop ends")
    return error
