"""Faults one after the other: in seeded order, each of them at least once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

from chaos.faults import Fault
from chaos.history import Fault as Noted
from chaos.history import now
from chaos.scene import Scene

_LEAST_GAP = 0.05


class Lane:
    """Strikes with one fault at a time until it is told to stop, and at least once with each."""

    def __init__(self, faults: list[type[Fault]], rng: random.Random, most_gap: float) -> None:
        self._faults, self._rng, self._most_gap = faults, rng, most_gap
        self._stop = asyncio.Event()
        self.struck = Counter[str]()

    def stop(self) -> None:
        """Let the lane end once each fault has struck."""
        self._stop.set()

    async def run(self, scene: Scene) -> None:
        """Strike."""
        for fault in self._order():
            if self._stop.is_set() and all(self.struck[kind.name] for kind in self._faults):
                return
            await self._strike(fault(), scene)
            await asyncio.sleep(self._rng.uniform(_LEAST_GAP, self._most_gap))

    def _order(self) -> Iterator[type[Fault]]:
        """Yield faults without end, in rounds: all of them, shuffled."""
        while self._faults:
            yield from self._rng.sample(self._faults, len(self._faults))

    async def _strike(self, fault: Fault, scene: Scene) -> None:
        begun_at = now()
        seconds: float | None = 0.0
        try:
            seconds = await fault.begin(scene)
            await asyncio.sleep(seconds or 0.0)
        finally:
            if seconds is not None:
                await fault.undo(scene)
        if seconds is not None:
            self.struck[fault.name] += 1
            scene.write(Noted(at=begun_at, fault=fault.name, target=fault.target, until=now()))
