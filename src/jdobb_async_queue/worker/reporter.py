"""Publishes the progress that handlers report: the latest of each job, at most about 20 times a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.models import Outcome
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.worker.loop import Loop
from jdobb_async_queue.worker.shift import CANCELLED, LOST

if TYPE_CHECKING:
    from jdobb_async_queue.worker.shift import Execution, Shift

_INTERVAL = 0.05
_YIELD_EVERY = 0.001
_MOST_WAITING = 256


class Reporter(Loop):
    """Coalesces progress: what comes while a job's last report is fresh waits, and the latest wins.

    Lines of a log are never coalesced and do not wait for their turn. An outage loses neither.
    """

    name: ClassVar[str] = "reporter"

    def __init__(self, shift: Shift) -> None:
        super().__init__(shift)
        self._waiting: dict[str, Execution] = {}
        self._yielded = float("-inf")

    async def report(self, execution: Execution, progress: float | None, message: str | None) -> None:
        """Take a report; it joins one that waits already."""
        if progress is None and message is None:
            return
        job_id, token, waiting = execution.record.id, execution.token, execution.reports
        if waiting and waiting[-1].verb == "update":
            earlier = waiting.pop()
            progress = _later(earlier.progress, progress)
            message = earlier.message if message is None else message
        waiting.append(Transition.report(job_id, progress, message, lease_token=token))
        await self._wait_for(execution)

    async def log(self, execution: Execution, text: str) -> None:
        """Take a line; it keeps its place among the reports, and waits for room when there are many."""
        while len(execution.reports) >= _MOST_WAITING and not execution.stop_reason:  # noqa: ASYNC110 - rare
            await asyncio.sleep(_INTERVAL)
        execution.reports.append(Transition.log(execution.record.id, text, lease_token=execution.token))
        execution.reported = float("-inf")
        await self._wait_for(execution)

    def take(self, execution: Execution) -> list[Transition]:
        """Return what the job has reported, to be stored now."""
        self._waiting.pop(execution.token, None)
        taken, execution.reports = execution.reports, []
        if taken:
            execution.reported = self.shift.clock.monotonic()
        return taken

    def put_back(self, execution: Execution, taken: list[Transition]) -> None:
        """Keep what could not be stored for the next time."""
        if taken:
            execution.reports[:0] = taken
            self._waiting[execution.token] = execution

    async def poll(self) -> float | None:
        """Publish what is due; return when the next report is."""
        now = self.shift.clock.monotonic()
        due = [item for item in self._waiting.values() if now >= item.reported + _INTERVAL]
        taken = [(item, self.take(item)) for item in due]
        try:
            await self._publish(taken)
        except BaseException:
            for execution, changes in taken:
                self.put_back(execution, changes)
            raise
        if not self._waiting:
            return None
        now = self.shift.clock.monotonic()
        return max(0.0, min(item.reported for item in self._waiting.values()) + _INTERVAL - now)

    async def _publish(self, taken: list[tuple[Execution, list[Transition]]]) -> None:
        changes = [(execution, change) for execution, reports in taken for change in reports]
        if not changes:
            return
        answers = await self.shift.backend.apply([change for _, change in changes], records=False)
        for (execution, _), answer in zip(changes, answers, strict=True):
            if answer.outcome is not Outcome.OK:
                cancelled = answer.record is not None and answer.record.status == "cancelled"
                execution.lose(CANCELLED if cancelled else LOST)

    async def _wait_for(self, execution: Execution) -> None:
        """Wake the loop for a report, and let the event loop breathe once in a while."""
        self._waiting[execution.token] = execution
        self.bell.ring()
        now = self.shift.clock.monotonic()
        if now - self._yielded > _YIELD_EVERY:
            self._yielded = now
            await asyncio.sleep(0)


def _later(earlier: float | None, progress: float | None) -> float | None:
    if earlier is None or progress is None:
        return earlier if progress is None else progress
    return max(earlier, progress)
