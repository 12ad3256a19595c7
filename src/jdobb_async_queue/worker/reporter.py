"""Publishes the progress that handlers report: the latest of each job, at most about 20 times a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.models import Outcome
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.worker.loop import Loop
from jdobb_async_queue.worker.shift import CANCELLED, LOST

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import Applied
    from jdobb_async_queue.worker.shift import Execution, Shift

_INTERVAL = 0.05
_YIELD_EVERY = 0.001


class Reporter(Loop):
    """Coalesces reports: what comes while a job's last one is fresh waits, and the latest wins."""

    name: ClassVar[str] = "reporter"

    def __init__(self, shift: Shift) -> None:
        super().__init__(shift)
        self._waiting: dict[str, Execution] = {}
        self._yielded = float("-inf")

    async def report(self, execution: Execution, progress: float | None, message: str | None) -> None:
        """Take a report, and let the event loop breathe once in a while."""
        if progress is not None:
            execution.progress = max(progress, execution.progress or 0.0)
        if message is not None:
            execution.message = message
        if execution.token not in self._waiting and execution.has_report:
            self._waiting[execution.token] = execution
            self.bell.ring()
        now = self.shift.clock.monotonic()
        if now - self._yielded > _YIELD_EVERY:
            self._yielded = now
            await asyncio.sleep(0)

    async def log(self, execution: Execution, text: str) -> None:
        """Publish a line at once, after the progress that was reported before it."""
        line = Transition.log(execution.record.id, text, lease_token=execution.token)
        changes = [*self.take(execution), line]
        for answer in await self.shift.backend.apply(changes):
            self._look_at(execution, answer)

    def take(self, execution: Execution) -> list[Transition]:
        """Return the job's waiting report, to be stored now, and forget it."""
        self._waiting.pop(execution.token, None)
        if not execution.has_report:
            return []
        change = Transition.report(
            execution.record.id, execution.progress, execution.message, lease_token=execution.token
        )
        execution.progress = execution.message = None
        execution.reported = self.shift.clock.monotonic()
        return [change]

    async def poll(self) -> float | None:
        """Publish what is due; return when the next report is."""
        now = self.shift.clock.monotonic()
        due = [item for item in self._waiting.values() if now >= item.reported + _INTERVAL]
        changes = [(item, change) for item in due for change in self.take(item)]
        if changes:
            answers = await self.shift.backend.apply([change for _, change in changes])
            for (execution, _), answer in zip(changes, answers, strict=True):
                self._look_at(execution, answer)
        if not self._waiting:
            return None
        now = self.shift.clock.monotonic()
        return max(0.0, min(item.reported for item in self._waiting.values()) + _INTERVAL - now)

    def _look_at(self, execution: Execution, answer: Applied) -> None:
        if answer.outcome is not Outcome.OK:
            cancelled = answer.record is not None and answer.record.status == "cancelled"
            execution.stop(CANCELLED if cancelled else LOST)
