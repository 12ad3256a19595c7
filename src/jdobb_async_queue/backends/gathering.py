"""Operations of many coroutines that leave together: what arrives while a batch is in flight is the next one.

Nothing waits for a timer: an operation that finds nothing in flight goes at once. A batch runs in a task of
its own, so that a cancelled caller harms no neighbour.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jdobb_async_queue.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

Op = TypeVar("Op")

_MOST_WAITING = 10_000


@dataclass(slots=True)
class Waiting(Generic[Op]):
    """An operation, who waits for it, and what undoes its result if nobody does any more."""

    operation: Op
    future: asyncio.Future[Any]
    take_back: Callable[[Any], Sequence[Op]] | None


class Gatherer(ABC, Generic[Op]):
    """The way to a store for one batch at a time: at most so many operations, of so many bytes together."""

    def __init__(self, place: str, most: int, most_bytes: int | None = None) -> None:
        self._place, self._most, self._most_bytes = place, most, most_bytes
        self._waiting: deque[Waiting[Op]] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def call(self, operation: Op, *, take_back: Callable[[Any], Sequence[Op]] | None = None) -> Any:
        """Do an operation and return its result.

        ``take_back`` makes of the result the operations that undo it, for a caller who was cancelled
        meanwhile and will never know what it got.
        """
        await self._have_room()
        future = self._add(operation, take_back)
        try:
            return await future
        except asyncio.CancelledError:
            if take_back is not None and not future.cancelled() and future.exception() is None:
                self._undo(take_back, future.result())
            raise

    async def call_all(self, operations: Iterable[Op]) -> list[Any]:
        """Do operations, each for itself, and return their results in order."""
        await self._have_room()
        return await asyncio.gather(*[self._add(operation, None) for operation in operations])

    async def close(self, within: float | None = None) -> None:
        """Finish what was called, in so many seconds or not at all, and refuse what comes later."""
        self._closed = True
        self._room.set()
        while self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=within)
            if late:
                self._task.cancel()
                within = 0.1
            await asyncio.sleep(0)  # one that has ended is forgotten at the loop's next turn

    @abstractmethod
    async def _run(self, batch: list[Waiting[Op]]) -> None:
        """Do a batch, and answer or put back each of its items."""

    def _rest(self) -> None:
        """Do what is to be done when nothing waits."""

    def _size(self, operation: Op) -> int:
        """Return about how many bytes an operation takes."""
        del operation
        return 0

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(self._ended)

    def _answer(self, item: Waiting[Op], result: Any, error: BaseException | None = None) -> None:
        if not item.future.done():
            if error is None:
                item.future.set_result(result)
            else:
                item.future.set_exception(error)
        elif error is None and item.take_back is not None:
            self._undo(item.take_back, result)

    def _refuse(self, items: Iterable[Waiting[Op]], failure: BaseException) -> None:
        for item in items:
            self._answer(item, None, failure)

    async def _have_room(self) -> None:
        while not self._closed and len(self._waiting) >= _MOST_WAITING:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise BackendUnavailable(f"{self._place} is closed")

    def _add(
        self, operation: Op, take_back: Callable[[Any], Sequence[Op]] | None
    ) -> asyncio.Future[Any]:  # fmt: skip
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(operation, future, take_back))
        if self._task is None:
            self._begin(self._work())
        return future

    def _undo(self, take_back: Callable[[Any], Sequence[Op]], result: Any) -> None:
        for operation in take_back(result):
            self._add(operation, None).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _work(self) -> None:
        while self._waiting:
            batch = self._next()
            if batch:
                await self._run(batch)
        self._rest()

    def _ended(self, _: asyncio.Task[None]) -> None:
        """Go on if something came at the last moment; the task may also have been cancelled unbegun."""
        self._task = None
        if self._waiting:
            self._begin(self._work())

    def _next(self) -> list[Waiting[Op]]:
        batch: list[Waiting[Op]] = []
        size = 0
        while self._waiting and len(batch) < self._most:
            item = self._waiting.popleft()
            if item.future.done():
                continue
            size += self._size(item.operation)
            if batch and self._most_bytes is not None and size > self._most_bytes:
                self._waiting.appendleft(item)
                break
            batch.append(item)
        if len(self._waiting) < _MOST_WAITING:
            self._room.set()
        return batch
