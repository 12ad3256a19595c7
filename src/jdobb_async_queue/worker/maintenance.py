"""Moves what only time moves: expired leases, jobs past their ttl, finished jobs past their retention.

Each pass is bounded and safe to run in any number of processes at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.worker.loop import REST, Loop

if TYPE_CHECKING:
    from jdobb_async_queue.worker.heartbeat import Heartbeat
    from jdobb_async_queue.worker.shift import Shift

_SWEEP_EVERY = 0.8
_PRUNE_EVERY = 5.0
_SWEEP_LIMIT, _PRUNE_LIMIT = 200, 100
_BETWEEN_BATCHES = 0.005


class Sweeper(Loop):
    """Rescues jobs whose lease ran out, and expires those that did not start in time."""

    name: ClassVar[str] = "sweeper"

    def __init__(self, shift: Shift, heartbeat: Heartbeat) -> None:
        super().__init__(shift)
        self._heartbeat = heartbeat

    async def poll(self) -> float | None:
        """Sweep; go on soon when a pass was full, and later while the worker has nothing to do."""
        shift = self.shift
        await self._heartbeat.keep()
        swept = await shift.backend.sweep(_SWEEP_LIMIT, shift.options.retention)
        if swept.total:
            shift.tell(facts.JobsSwept(swept.rescued, swept.expired))
        if max(swept.rescued, swept.expired) >= _SWEEP_LIMIT:
            return _BETWEEN_BATCHES
        if len(shift.slots) or swept.total:
            return _SWEEP_EVERY * (0.9 + 0.1 * shift.options.rng.random())
        return REST


class Pruner(Loop):
    """Removes jobs past their retention."""

    name: ClassVar[str] = "pruner"

    async def poll(self) -> float | None:
        """Prune; go on soon when a pass was full."""
        shift = self.shift
        if await shift.backend.prune(_PRUNE_LIMIT) >= _PRUNE_LIMIT:
            return _BETWEEN_BATCHES
        is_rare = shift.pulse.interval >= _PRUNE_EVERY
        return REST if is_rare and not len(shift.slots) else _PRUNE_EVERY
