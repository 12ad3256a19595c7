"""``Worker``: registers handlers, and runs the loops that claim, execute and settle their jobs."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from jdobb_async_queue import validation
from jdobb_async_queue.backends.bells import Bell
from jdobb_async_queue.clock import SystemClock
from jdobb_async_queue.errors import BackendError
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.instrumentation.logs import log
from jdobb_async_queue.worker.crew import Crew
from jdobb_async_queue.worker.handlers import HandlerTable
from jdobb_async_queue.worker.pulse import Pulse
from jdobb_async_queue.worker.shift import Shift, Slots
from jdobb_async_queue.worker.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jdobb_async_queue.clock import Clock
    from jdobb_async_queue.instrumentation.facts import Listener
    from jdobb_async_queue.models import LoopState
    from jdobb_async_queue.queue import JobQueue
    from jdobb_async_queue.router import F, HandlerFunction, JobRouter, Lifespan

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LEAST_REST = 0.8
"""Who rests longer than a lease learns too late of one that was taken and lost meanwhile."""


class Worker:
    """Runs the handlers of some job types on a queue's jobs.

    ``job_types`` None means every type that has a handler here. ``poll_interval`` (seconds) is only the
    safety net: an enqueue wakes a waiting worker at once, and a backend that many share may be looked at less
    often (``QueueBackend.idle_interval``). ``max_concurrent`` is the number of slots.
    ``shutdown_grace`` is how many seconds ``stop()`` lets running jobs finish. ``lifespan`` is an async
    context manager function around the run; what it yields is ``ctx.state``.
    """

    def __init__(
        self,
        queue: JobQueue,
        *,
        job_types: Sequence[str] | None = None,
        poll_interval: float = 1.0,
        max_concurrent: int = 10,
        shutdown_grace: float = 30.0,
        lifespan: Lifespan | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._queue = queue
        self._poll_interval = validation.number(poll_interval, "poll_interval", least=0.001, most=3600)
        self._slots = validation.count(max_concurrent, "max_concurrent", most=100_000)
        self._grace = validation.seconds(shutdown_grace, "shutdown_grace")
        self._clock = clock or SystemClock()
        self._is_watched = clock is None
        self._table = HandlerTable(validation.names(job_types, "job_types"), lifespan)
        self._listeners: list[Listener] = [log]
        self._crew: Crew | None = None
        self._running: asyncio.Task[Any] | None = None
        self._ended: asyncio.Event | None = None
        self._stopping = False
        self._wake = Bell()

    # -- handlers --------------------------------------------------------------------------------------

    def handler(self, job_type: str, **options: Any) -> Callable[[F], F]:
        """Register the decorated ``async def`` as a job type's handler; see ``JobRouter.handler``."""
        self._table.refuse_known(job_type)
        return self._table.own.handler(job_type, **options)

    def register_handler(self, job_type: str, function: HandlerFunction, **options: Any) -> None:
        """Register a handler; it counts from the next claim, also while the worker runs."""
        self._table.refuse_known(job_type)
        self._table.own.register_handler(job_type, function, **options)

    def include_router(self, router: JobRouter) -> None:
        """Take over a router's handlers; a job type that has one already raises ``ValueError``."""
        if self._running is not None and router.lifespan is not None:
            msg = "a router with a lifespan must be included before run()"
            raise RuntimeError(msg)
        self._table.include(router)

    def add_listener(self, listener: Callable[[facts.Fact], None]) -> None:
        """Call ``listener`` with every fact that the worker tells (``instrumentation.facts``)."""
        self._listeners.append(listener)

    # -- life ------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Tell whether ``run()`` is under way."""
        return self._running is not None

    @property
    def loops(self) -> list[LoopState]:
        """Return how each of the worker's loops does; empty unless it runs."""
        return [] if self._crew is None else self._crew.loops

    async def run(self, *, burst: bool = False) -> None:
        """Claim and run jobs until ``stop()``; with ``burst``, until none is ready or running.

        Installs no signal handlers. An unreachable backend is waited for. Cancelling it cancels the
        handlers, releases their jobs and re-raises.
        """
        if self._running is not None:
            msg = "the worker is already running"
            raise RuntimeError(msg)
        self._running = asyncio.current_task()
        self._ended, self._wake, self._stopping = asyncio.Event(), Bell(), False
        try:
            await self._patiently(self._queue.open)
            async with AsyncExitStack() as stack:
                if not self._stopping:
                    await self._table.enter(stack)
                    await self._work(burst=burst)
        finally:
            self._table.on_change = lambda: None
            self._table.leave()
            self._crew = self._running = None
            self._ended.set()

    async def stop(self) -> None:
        """Take no new job, let running ones finish for ``shutdown_grace`` seconds, then release them.

        Returns when ``run()`` has ended; called by a handler of its own, at once, for it would wait for
        itself. Harmless before, after and during a stop.
        """
        if self._running is None or self._ended is None:
            return
        ended = self._ended
        self._stopping = True
        self._wake.ring()
        caller = asyncio.current_task()
        is_ours = caller is self._running
        if self._crew is not None:
            self._crew.leave()
            is_ours = is_ours or self._crew.runs(caller)
        if not is_ours:
            await ended.wait()

    async def _work(self, *, burst: bool) -> None:
        shift = self._new_shift()
        crew = Crew(shift, grace=self._grace, burst=burst)
        self._crew = crew
        self._table.on_change = lambda: self._handlers_changed(shift, crew)
        self._handlers_changed(shift, crew)
        shift.tell(facts.WorkerStarted(shift.worker_id, self._table.claimable, self._slots))
        watchdog = Watchdog(shift, asyncio.get_running_loop()) if self._is_watched else None
        if watchdog is not None:
            watchdog.start()
        try:
            await crew.run()
        finally:
            if watchdog is not None:
                watchdog.stop()
            shift.tell(facts.WorkerStopped(shift.worker_id, shift.released))

    def _new_shift(self) -> Shift:
        backend, options = self._queue.backend, self._queue.options
        host = "".join(c if c.isalnum() or c in "._-" else "-" for c in socket.gethostname())[:80]
        return Shift(
            worker_id=f"{host}:{os.getpid()}:{options.ids.lease_token()[:12]}",
            backend=backend,
            options=options,
            clock=self._clock,
            slots=Slots(self._slots),
            poll_interval=self._poll_interval,
            claimable=lambda: self._table.claimable,
            bound=self._table.bound,
            publish=lambda: self._table.publish(backend),
            listeners=self._listeners,
            pulse=Pulse(min(backend.idle_interval, max(_LEAST_REST, options.lease / 1000)), options.rng),
        )

    def _handlers_changed(self, shift: Shift, crew: Crew) -> None:
        for fact in self._table.missing():
            shift.tell(fact)
        crew.handlers_changed()

    async def _patiently(self, call: Callable[[], Awaitable[None]]) -> None:
        """Make a call, again and again while the backend cannot be reached and nobody stops us."""
        failures = 0
        while not self._stopping:
            try:
                await call()
            except BackendError as error:
                failures += 1
                for listener in self._listeners:
                    listener(facts.BackendLost("worker", str(error), failures))
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures, 20))
                jitter = 0.5 + 0.5 * self._queue.options.rng.random()
                await self._wake.wait(pause * jitter)
            else:
                return
