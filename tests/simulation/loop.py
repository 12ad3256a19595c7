"""An event loop without a machine: its time is virtual, its order the seed's, its processes can stand still.

When nothing is ready, time jumps to the next timer. What is ready at one instant runs in an order that the
seed chooses, as on a machine where nothing promises another. Tasks that a ``Process`` starts, and everything
that follows from them, belong to it (a context variable says so): while it is paused nothing of it runs, and
once it is killed nothing of it ever runs again, not even the clean-up of its tasks.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from collections.abc import Coroutine
from typing import Any

_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
_MOST_ROUNDS = 20_000
"""Turns of the loop without any time passing, after which something turns in circles."""


class StandsStill(Exception):  # noqa: N818 - reads as the fact that it states
    """Nothing is ready and no timer is set: what is awaited will never come."""


class Process:
    """A part of the simulation that pauses and dies as a whole."""

    def __init__(self, loop: SimulatedLoop, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.is_paused = False
        self._loop = loop
        self._held: list[asyncio.Handle] = []
        self._context = contextvars.copy_context()
        self._context.run(_PROCESS.set, self)

    @property
    def runs(self) -> bool:
        """Tell whether it is alive and not paused."""
        return self.is_alive and not self.is_paused

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin some work in this process."""
        return self._context.run(self._loop.create_task, work)

    def pause(self) -> None:
        """Stand still: what becomes ready waits."""
        self.is_paused = True

    def resume(self) -> None:
        """Go on with what has become ready meanwhile."""
        self.is_paused = False
        self._loop.make_ready(self._held)
        self._held = []

    def kill(self) -> None:
        """End without cleaning up."""
        self.is_alive = False

    def revive(self) -> None:
        """Let what was held run, so that its tasks can be cancelled after the simulation."""
        self.is_alive = True
        self.resume()

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep what cannot run now."""
        self._held.append(handle)


def current_process() -> Process | None:
    """Return the process that the caller belongs to."""
    return _PROCESS.get()


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop; ``rng`` is its only source of chance."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._rounds = 0
        self._processes: list[Process] = []
        self._tasks: list[asyncio.Task[Any]] = []
        """Kept, so that no killed task is collected, which would run its clean-up."""
        self.failures: list[dict[str, Any]] = []
        """What no task handled."""
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        """Return the virtual seconds since the beginning."""
        return self._now

    def process(self, name: str) -> Process:
        """Return a new process."""
        process = Process(self, name)
        self._processes.append(process)
        return process

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Create a task, and keep it."""
        task = super().create_task(coro, **options)
        self._tasks.append(task)
        return task

    def make_ready(self, handles: list[asyncio.Handle]) -> None:
        """Let handles run in the next turn."""
        self._ready.extend(handles)

    def bury(self) -> None:
        """End every task that is left; what they await must fail or be cancelled."""
        for process in self._processes:
            process.revive()
        self._rounds = 0
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        self.run_until_complete(_all_ended(left))
        self._tasks.clear()

    def _run_once(self) -> None:
        if not self._ready and not self._stopping:
            self._jump()
        self._take_due_timers()
        ready = list(self._ready)
        self._ready.clear()
        if len(ready) > 1:
            self._rng.shuffle(ready)
        for handle in ready:
            process = handle._context.get(_PROCESS)
            if handle.cancelled():
                continue
            if process is None or process.runs:
                handle._run()
            else:
                process.hold(handle)
        self._rounds += 1
        assert self._rounds < _MOST_ROUNDS, "the simulation turns in circles"

    def _jump(self) -> None:
        while self._scheduled and self._scheduled[0].cancelled():
            self._pop_timer()
        if not self._scheduled:
            raise StandsStill
        if self._scheduled[0].when() > self._now:
            self._now = self._scheduled[0].when()
            self._rounds = 0

    def _take_due_timers(self) -> None:
        while self._scheduled and self._scheduled[0].when() <= self._now:
            timer = self._pop_timer()
            if not timer.cancelled():
                self._ready.append(timer)

    def _pop_timer(self) -> asyncio.TimerHandle:
        timer: asyncio.TimerHandle = heapq.heappop(self._scheduled)
        timer._scheduled = False
        return timer

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: there is no machine that events come from."""

    def _write_to_self(self) -> None:
        """Do nothing: there is only one thread."""


async def _all_ended(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
