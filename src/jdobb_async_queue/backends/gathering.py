"""Operations of many coroutines that leave together: what arrives while a batch is in flight is the next one.

Nothing waits for a timer: an operation that finds nothing in flight goes at once. While a batch is in flight
another may leave as soon as it is worth it, so that the store need not wait for us between two. A batch runs
in a task of its own, so that a cancelled caller harms no neighbour.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jdobb_async_queue.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

Op = TypeVar("Op")

_MOST_WAITING = 10_000
_WORTH = 4
"""The weight of what has to wait for a batch to leave while another is in flight."""


@dataclass(slots=True)
class Waiting(Generic[Op]):
    """An operation, who waits for it, and what undoes its result if nobody does any more.

    Those that share an entry of ``order`` keep their order: they are never in two flights at a time.
    """

    operation: Op
    future: asyncio.Future[Any]
    take_back: Callable[[Any], Sequence[Op]] | None
    order: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a batch has at most, and how many may be in flight at a time."""

    operations: int
    size: int = sys.maxsize
    """Bytes, about; an operation that has more goes alone."""
    weight: int = sys.maxsize
    """Jobs, about; an operation that has more goes alone."""
    flights: int = 1


class Gatherer(ABC, Generic[Op]):
    """The way to a store, for batches that are bounded by ``limits``."""

    def __init__(self, place: str, limits: Limits) -> None:
        self._place, self._limits = place, limits
        self._waiting: deque[Waiting[Op]] = deque()
        self._load = 0
        """The weight of all that waits."""
        self._room = asyncio.Event()
        self._room.set()
        self._flights = list(range(limits.flights))
        """The numbers of those that rest."""
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._in_flight: dict[int, set[object]] = {}
        """Of each flight what its operations' order depends on."""
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
        together = object()
        return await asyncio.gather(*[self._add(operation, None, (together,)) for operation in operations])

    async def close(self, within: float | None = None) -> None:
        """Finish what was called, in so many seconds or not at all, and refuse what comes later."""
        self._closed = True
        self._room.set()
        while self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=within)
            for task in late:
                task.cancel()
                within = 0.1
            await asyncio.sleep(0)  # one that has ended is forgotten at the loop's next turn

    @abstractmethod
    async def _run(self, batch: list[Waiting[Op]], flight: int) -> None:
        """Do a batch, and answer or put back each of its items; no two at a time have the same ``flight``."""

    def _rest(self) -> None:
        """Do what is to be done when nothing waits."""

    def _size(self, operation: Op) -> int:
        """Return about how many bytes an operation takes."""
        del operation
        return 0

    def _weight(self, operation: Op) -> int:
        """Return about how many jobs an operation is about."""
        del operation
        return 1

    def _subject(self, operation: Op) -> str | None:
        """Return what an operation changes, if others that change it must not overtake it."""
        del operation
        return None

    def _begin(self, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        flight = self._flights.pop()
        task = asyncio.ensure_future(work(flight))
        self._tasks[task] = flight
        task.add_done_callback(self._ended)

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

    def _put_back(self, items: Sequence[Waiting[Op]]) -> None:
        """Let items wait again, before all others."""
        self._waiting.extendleft(reversed(items))
        self._load += sum(self._weight(item.operation) for item in items)

    def _refuse_all(self, failure: BaseException) -> None:
        """Refuse what waits."""
        waiting, self._waiting, self._load = self._waiting, deque(), 0
        self._refuse(waiting, failure)
        self._room.set()

    async def _have_room(self) -> None:
        while not self._closed and len(self._waiting) >= _MOST_WAITING:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise BackendUnavailable(f"{self._place} is closed")

    def _add(
        self,
        operation: Op,
        take_back: Callable[[Any], Sequence[Op]] | None,
        order: tuple[object, ...] = (),
    ) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        subject = self._subject(operation)
        if subject is not None:
            order = (*order, subject)
        self._waiting.append(Waiting(operation, future, take_back, order))
        self._load += self._weight(operation)
        if self._away == 0 or (self._flights and self._is_worth_it()):
            self._begin(self._work)
        return future

    def _undo(self, take_back: Callable[[Any], Sequence[Op]], result: Any) -> None:
        for operation in take_back(result):
            self._add(operation, None).add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def _away(self) -> int:
        """Return how many flights have begun, also where a task's first step is made when it is created."""
        return self._limits.flights - len(self._flights)

    async def _work(self, flight: int) -> None:
        while self._waiting and (self._away == 1 or self._is_worth_it()):
            batch = self._next()
            if batch:
                self._in_flight[flight] = {entry for item in batch for entry in item.order}
                try:
                    await self._run(batch, flight)
                finally:
                    del self._in_flight[flight]
        if not self._waiting:
            self._rest()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Go on if something came at the last moment; the task may also have been cancelled unbegun."""
        self._flights.append(self._tasks.pop(task))
        if self._waiting and self._away == 0:
            self._begin(self._work)

    def _is_worth_it(self) -> bool:
        """Tell whether what waits is enough for another flight, and need not keep behind one."""
        if self._load < _WORTH:
            return False
        weight = 0
        for item in self._waiting:
            if self._is_behind(item):
                return False
            weight += self._weight(item.operation)
            if weight >= _WORTH:
                return True
        return False

    def _is_behind(self, item: Waiting[Op]) -> bool:
        return any(not entries.isdisjoint(item.order) for entries in self._in_flight.values())

    def _next(self) -> list[Waiting[Op]]:
        batch: list[Waiting[Op]] = []
        size = weight = 0
        while self._waiting and len(batch) < self._limits.operations:
            item = self._waiting[0]
            load = self._weight(item.operation)
            if not item.future.done():
                size += self._size(item.operation)
                weight += load
                is_full = size > self._limits.size or weight > self._limits.weight
                if self._is_behind(item) or (batch and is_full):
                    break
                batch.append(item)
            self._waiting.popleft()
            self._load -= load
        if len(self._waiting) < _MOST_WAITING:
            self._room.set()
        return batch
