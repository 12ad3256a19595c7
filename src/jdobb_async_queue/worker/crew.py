"""The loops of one run of a worker together: they start, and they stop in order.

Stopping to fetch and stopping to work are two things: first nothing new is claimed, then what runs may
finish, then it is cancelled and given back, and only then the loops that settle and keep leases end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.errors import JobQueueError
from jdobb_async_queue.worker.completer import Completer
from jdobb_async_queue.worker.executor import TO_OBEY, Executor
from jdobb_async_queue.worker.fetcher import Fetcher
from jdobb_async_queue.worker.heartbeat import Heartbeat
from jdobb_async_queue.worker.maintenance import Pruner, Sweeper
from jdobb_async_queue.worker.reporter import Reporter
from jdobb_async_queue.worker.shift import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from jdobb_async_queue.lifecycle import AttemptOutcome
    from jdobb_async_queue.models import LoopState
    from jdobb_async_queue.worker.loop import Loop
    from jdobb_async_queue.worker.shift import Execution, Shift

_COMPLETERS = 2
"""While the outcomes of one are on their way to the store, the other gathers those that come."""
_TO_ANSWER = 1.0
"""Seconds that a claim on its way gets to come back."""
_TO_END = 4.0
"""Seconds after the grace within which everything ends, whatever hangs."""


class Crew:
    """One run of a worker."""

    def __init__(self, shift: Shift, *, grace: float, burst: bool) -> None:
        self._shift, self._grace = shift, grace
        self._leaving = asyncio.Event()
        self._freed = asyncio.Event()
        self._reporter = Reporter(shift)
        self._completers = [Completer(shift, self._reporter) for _ in range(_COMPLETERS)]
        self._executor = Executor(shift, self._submit, self._reporter)
        self._heartbeat = Heartbeat(shift, self._obey)
        self._fetcher = Fetcher(shift, self._executor, self._heartbeat, burst=burst)
        self._sweeper, self._pruner = Sweeper(shift, self._heartbeat), Pruner(shift)
        self._tasks: dict[Loop, asyncio.Task[None]] = {}
        shift.slots.on_free(self._freed.set)

    def runs(self, task: asyncio.Task[Any] | None) -> bool:
        """Tell whether a task is one of this run's handlers."""
        return self._shift.slots.of_task(task) is not None

    @property
    def loops(self) -> list[LoopState]:
        """Return how each loop does."""
        return [loop.state for loop in self._tasks]

    def leave(self) -> None:
        """Begin to stop, also while a claim hangs."""
        self._leaving.set()
        self._fetcher.stop()

    def handlers_changed(self) -> None:
        """Claim and publish by the new set of handlers."""
        self._fetcher.ring()

    async def run(self) -> None:
        """Run until ``leave`` was called or a burst has ended, then stop in order."""
        loops: tuple[Loop, ...] = (
            *self._completers, self._reporter, self._heartbeat, self._sweeper, self._pruner, self._fetcher,
        )  # fmt: skip
        self._tasks = {loop: asyncio.ensure_future(loop.keep_running()) for loop in loops}
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait([self._tasks[self._fetcher], leaving], return_when=asyncio.FIRST_COMPLETED)
            await self._finish(self._grace)
        except asyncio.CancelledError:
            self._shift.leaving = True
            await _uninterrupted(self._finish(0.0))
            raise
        finally:
            tasks = [*self._tasks.values(), leaving]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, grace: float) -> None:
        time = asyncio.get_running_loop().time
        self.leave()
        begun = time()
        await self._keep_settling()
        await _bounded(self._tasks[self._fetcher], max(grace, _TO_ANSWER))
        await self._until_idle(begun + grace - time())
        ends = time() + _TO_END
        for execution in self._shift.slots.executions:
            execution.stop(SHUTDOWN)
        await self._until_idle(TO_OBEY)
        for execution in self._shift.slots.executions:
            self._executor.abandon(execution)
        for loop in self._tasks:
            loop.stop()
        await _bounded(asyncio.gather(*self._tasks.values(), return_exceptions=True), (ends - time()) / 2)
        flushing = (completer.flush() for completer in self._completers)
        await _bounded(asyncio.gather(*flushing, return_exceptions=True), ends - time())
        await _bounded(self._sign_off(), ends - time())

    def _submit(self, execution: Execution, outcome: AttemptOutcome) -> None:
        min(self._completers, key=len).submit(execution, outcome)

    async def _keep_settling(self) -> None:
        """Begin the completers anew where they were cancelled together with the run."""
        await asyncio.sleep(0)
        for completer in self._completers:
            if self._tasks[completer].done():
                self._tasks[completer] = asyncio.ensure_future(completer.keep_running())

    async def _until_idle(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + patience
        while len(self._shift.slots) and (left := ends - loop.time()) > 0:
            self._freed.clear()
            await _bounded(self._freed.wait(), left)

    async def _sign_off(self) -> None:
        try:
            await self._shift.backend.remove_worker(self._shift.worker_id)
        except JobQueueError:
            return

    def _obey(self, directive: str) -> None:
        if directive == "stop":
            self.leave()
        elif self._shift.quiet != (directive == "quiet"):
            self._shift.quiet = directive == "quiet"
            self._fetcher.ring()


async def _bounded(work: Awaitable[object], seconds: float) -> None:
    """Wait for ``work`` that long, and cancel what takes longer; its errors are not ours here."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_ignore)
    try:
        await asyncio.wait([task], timeout=max(0.0, seconds))
    finally:
        if not task.done():
            task.cancel()


def _ignore(task: asyncio.Future[object]) -> None:
    if not task.cancelled():
        task.exception()


async def _uninterrupted(work: Awaitable[None]) -> None:
    """Finish ``work`` although we are being cancelled, even more than once."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
