"""Keeps the worker of this process running: a crash of its loops takes neither HTTP nor the jobs down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from jdobb_async_queue import Worker
from jdobb_service.closing import Closing

STUCK_AFTER = 60.0
"""Seconds that a turn of a loop may take; a backend answers or gives up within a fraction of them."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_AFTER = 60.0
_MARGIN = 1.5

log = structlog.get_logger("jdobb_service.worker")


class Supervisor:
    """Runs a worker until the process closes, anew after each crash, with growing pauses between."""

    def __init__(self, make_worker: Callable[[], Worker], *, grace: float, closing: Closing) -> None:
        self._make_worker = make_worker
        self._worker = make_worker()
        self._grace = grace
        self._closing = closing
        self.restarts = 0
        self.has_ended = False
        """Whether the worker ended in good order: it was told to stop."""

    @property
    def running(self) -> bool:
        """Tell whether the worker runs now."""
        return self._worker.is_running

    @property
    def failing(self) -> list[str]:
        """Return the worker's loops whose last turn failed; they try again."""
        return sorted({loop.name for loop in self._worker.loops if loop.failures})

    @property
    def stuck(self) -> list[str]:
        """Return the worker's loops whose present turn has no end."""
        return sorted({loop.name for loop in self._worker.loops if loop.turning_for > STUCK_AFTER})

    @asynccontextmanager
    async def running_until_closed(self) -> AsyncIterator[None]:
        """Run the worker beside the block; leaving it, or the closing of the process, drains the worker."""
        supervising = asyncio.create_task(self._supervise(), name="worker-supervisor")
        stopping = asyncio.create_task(self._stop_when_closing(supervising), name="worker-stop")
        try:
            yield
        finally:
            self._closing.set()
            await stopping

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._closing.is_set:
            started = loop.time()
            try:
                await self._worker.run()
            except Exception:
                failures = 1 if loop.time() - started > _STEADY_AFTER else failures + 1
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (failures - 1))
                log.exception("worker crashed", restarts=self.restarts, retry_in=pause)
            else:
                log.info("worker ended")
                self.has_ended = True
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)
                return
            self.restarts += 1
            self._worker = self._make_worker()

    async def _stop_when_closing(self, supervising: asyncio.Task[None]) -> None:
        """Stop the worker; one that outstays its grace or is hurried is cancelled: its jobs are released."""
        await self._closing.wait()
        ending = asyncio.ensure_future(self._worker.stop())
        finishing = asyncio.ensure_future(asyncio.wait([supervising, ending]))
        hurried = asyncio.ensure_future(self._closing.wait_for_hurry())
        await asyncio.wait([finishing, hurried], timeout=self._grace + _MARGIN, return_when="FIRST_COMPLETED")
        for task in (finishing, hurried, ending, supervising):
            task.cancel()
        await asyncio.wait([finishing, hurried, ending, supervising], timeout=_MARGIN)
