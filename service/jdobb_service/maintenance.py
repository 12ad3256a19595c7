"""What only time does, while no worker of this process does it: workers over HTTP have no loop for it.

Any number of processes may do it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from jdobb_async_queue import BackendError, JobQueue, facts
from jdobb_service.closing import Closing
from jdobb_service.metrics import Metrics

EVERY = 5.0
"""Seconds between passes; a fifth of them is left to chance, so that processes spread."""
_LIMIT = 200

log = structlog.get_logger("jdobb_service.maintenance")


class Maintenance:
    """Rescues, expires and prunes every few seconds, unless a worker here does."""

    def __init__(
        self, queue: JobQueue, metrics: Metrics, closing: Closing, *, is_done: Callable[[], bool]
    ) -> None:
        self._queue, self._metrics, self._closing, self._is_done = queue, metrics, closing, is_done

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do it beside the block."""
        task = asyncio.create_task(self._run(), name="maintenance")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _run(self) -> None:
        pause = EVERY
        while not await self._closes_within(pause * random.uniform(0.8, 1)):  # noqa: S311 - spreads processes
            pause = EVERY if self._is_done() else await self._turn()

    async def _turn(self) -> float:
        """Do one bounded step, and return when to do the next."""
        try:
            done = await self._queue.maintain(_LIMIT)
        except BackendError:
            self._metrics.backend_failed("maintenance")
            return EVERY
        except Exception:
            log.exception("maintenance failed", retry_in=EVERY)
            return EVERY
        self._metrics.observe(facts.JobsSwept(done.rescued, done.expired))
        return 0.0 if _LIMIT in {done.rescued, done.expired, done.pruned} else EVERY

    async def _closes_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return self._closing.is_set
