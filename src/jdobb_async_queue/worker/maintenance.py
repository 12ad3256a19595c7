"""Moves what only time moves: expired leases, jobs past their ttl, finished jobs past their retention."""

from __future__ import annotations

from typing import ClassVar

from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.worker.loop import Loop

_SWEEP_EVERY = 0.8
_PRUNE_EVERY = 5.0
_SWEEP_LIMIT, _PRUNE_LIMIT = 200, 100
_BETWEEN_BATCHES = 0.005


class Maintenance(Loop):
    """Each pass is bounded and safe to run in any number of processes at once."""

    name: ClassVar[str] = "maintenance"

    _pruned = float("-inf")

    async def poll(self) -> float | None:
        """Sweep, and prune when it is time; go on soon when a pass was full."""
        shift = self.shift
        swept = await shift.backend.sweep(_SWEEP_LIMIT, shift.options.retention)
        if swept.total:
            shift.tell(facts.JobsSwept(swept.rescued, swept.expired))
        now = shift.clock.monotonic()
        full = max(swept.rescued, swept.expired) >= _SWEEP_LIMIT
        if now >= self._pruned + _PRUNE_EVERY:
            if await shift.backend.prune(_PRUNE_LIMIT) >= _PRUNE_LIMIT:
                full = True
            else:
                self._pruned = now
        return _BETWEEN_BATCHES if full else _SWEEP_EVERY * (0.9 + 0.1 * shift.options.rng.random())
