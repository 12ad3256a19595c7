"""One instant at which all the loops of a worker that rest look again, so that their calls leave together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from jdobb_async_queue.backends.bells import Bell

_JITTER = 0.05


class Pulse:
    """Wakes whoever rests, about every ``interval`` seconds; it does not beat while nobody does."""

    def __init__(self, interval: float, rng: random.Random) -> None:
        self.interval = interval
        self._rng = rng
        self._resting: dict[Bell, None] = {}
        """In the order in which they began."""
        self._timer: asyncio.TimerHandle | None = None

    async def rest(self, bell: Bell) -> None:
        """Wait for the next beat, or until the bell rings or is nudged."""
        if self._timer is None:
            delay = self.interval * (1 + _JITTER * self._rng.random())
            self._timer = asyncio.get_running_loop().call_later(delay, self._beat)
        self._resting[bell] = None
        try:
            await bell.wait()
        finally:
            self._resting.pop(bell, None)
            if not self._resting and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _beat(self) -> None:
        self._timer = None
        for bell in self._resting:
            bell.nudge()
