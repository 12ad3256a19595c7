"""Calls of many coroutines that leave together: what arrives while a batch is in flight is the next one.

Nothing waits for a timer: a call that finds nothing in flight goes at once. A batch runs in a task of its
own, so that a cancelled caller harms no neighbour.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.sqlite.connection import Batch, Call, Operation, Reader, Writer
from jdobb_async_queue.backends.sqlite.faults import translated
from jdobb_async_queue.errors import BackendUnavailable

if TYPE_CHECKING:
    import aiosqlite

    from jdobb_async_queue.backends.sqlite.transaction import Touched

logger = logging.getLogger("jdobb_async_queue")

MAX_BATCH = 128
_MOST_WAITING = 10_000
_IDLE = 1.0

TakeBack = Callable[[Any], "Operation | None"]


@dataclass(slots=True)
class _Waiting:
    call: Call
    future: asyncio.Future[Any]
    take_back: TakeBack | None


class Batcher:
    """The way to one connection.

    ``on_commit`` is called on the event loop with whom each batch touched. ``checkpoint`` runs in the
    connection's thread when a batch says that it is due, ``when_idle`` after a second without work.
    """

    def __init__(
        self,
        database: aiosqlite.Connection,
        connection: Reader | Writer,
        place: str,
        *,
        max_batch: int = MAX_BATCH,
        on_commit: Callable[[Touched], None] = lambda _: None,
        checkpoint: Callable[[], object] | None = None,
        when_idle: Callable[[], object] | None = None,
    ) -> None:
        self._database = database
        self._connection = connection
        self._place = place
        self._max_batch = max_batch
        self._on_commit, self._checkpoint, self._when_idle = on_commit, checkpoint, when_idle
        self._waiting: deque[_Waiting] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def call(
        self, operation: Operation, *, promised: bool = True, take_back: TakeBack | None = None
    ) -> Any:
        """Run an operation in a transaction and return what it returned, once that is committed.

        ``take_back`` makes of the result the operation that undoes it, for a caller who was cancelled
        while it ran and will never know what it got.
        """
        while not self._closed and len(self._waiting) >= _MOST_WAITING:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise BackendUnavailable(f"{self._place} is closed")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(Call(operation, promised), future, take_back))
        self._start()
        try:
            return await future
        except asyncio.CancelledError:
            if take_back is not None and not future.cancelled() and future.exception() is None:
                self._undo(take_back, future.result())
            raise

    def _start(self) -> None:
        if self._task is None:
            self._begin(self._work())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Go on after a task that was cancelled before its first step: nothing in it has run."""
        if self._task is task:
            self._task = None
            if self._waiting:
                self._start()

    async def close(self) -> None:
        """Finish what was called, and refuse what comes later."""
        self._closed = True
        self._room.set()
        if self._timer is not None:
            self._timer.cancel()
        while self._task is not None:
            await asyncio.wait([self._task])
            await asyncio.sleep(0)  # one that has ended already is forgotten at the loop's next turn

    async def _work(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            while self._waiting:
                await self._run_batch()
            self._rest()
        finally:
            self._task = None

    async def _run_batch(self) -> None:
        batch = self._next_batch()
        if not batch:
            return
        calls = [item.call for item in batch]
        try:
            done: Batch = await self._hop(lambda: self._connection.run(calls))
        except Exception as error:  # noqa: BLE001 - it is every caller's
            failure = translated(error, self._place)
            for item in batch:
                if not item.future.done():
                    item.future.set_exception(failure)
            return
        self._waiting.extendleft(reversed(batch[len(done.results) :]))
        self._on_commit(done.touched)
        for item, result in zip(batch, done.results, strict=False):
            self._answer(item, result.value, result.error)
        if done.is_checkpoint_due:
            await self._tidy_up(self._checkpoint)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._max_batch:
            item = self._waiting.popleft()
            if not item.future.done():
                batch.append(item)
        if len(self._waiting) < _MOST_WAITING:
            self._room.set()
        return batch

    def _answer(self, item: _Waiting, value: Any, error: BaseException | None) -> None:
        if not item.future.done():
            if error is None:
                item.future.set_result(value)
            else:
                item.future.set_exception(translated(error, self._place))
        elif error is None and item.take_back is not None:
            self._undo(item.take_back, value)

    def _undo(self, take_back: TakeBack, value: Any) -> None:
        operation = take_back(value)
        if operation is not None:
            future = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._waiting.append(_Waiting(Call(operation), future, None))
            self._start()

    def _rest(self) -> None:
        """Let the thread tidy up after a second without work."""
        if self._when_idle is not None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(_IDLE, self._tidy)

    def _tidy(self) -> None:
        if self._task is None and not self._closed:
            self._begin(self._be_idle())

    async def _be_idle(self) -> None:
        try:
            await self._tidy_up(self._when_idle)
        finally:
            self._task = None
            if self._waiting:
                self._start()

    async def _tidy_up(self, work: Callable[[], object] | None) -> None:
        try:
            await self._hop(work)
        except Exception:
            logger.debug("tidying up has to wait", exc_info=True)

    async def _hop(self, work: Callable[[], Any] | None) -> Any:
        """Do ``work`` in the connection's thread, and return only when it is over.

        A loop that ends cancels this task too; the calls under way are finished and answered all the same.
        """
        self._connection.work = work
        hopping = True
        while hopping:
            try:
                await self._database.commit()
                hopping = False
            except asyncio.CancelledError:
                logger.debug("waiting for the connection's thread")
        return self._connection.outcome()
