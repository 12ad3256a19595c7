"""Clocks that jump."""

from __future__ import annotations

from chaos.faults.base import Fault
from chaos.history import now
from chaos.scene import Scene


class ClockJump(Fault):
    """The wall clock of all workers jumps, and back."""

    name, family = "clock-jump", "clock"
    what = "the wall clock of the workers jumps by up to three leases, forward or back"
    undone = "it jumps to where it should be"
    backends = frozenset({"sqlite", "redis"})
    target = "clock"

    def __init__(self) -> None:
        self._begun_at = now()

    async def begin(self, scene: Scene) -> float | None:
        """Jump."""
        leases = scene.rng.choice((-1, 1)) * scene.rng.uniform(1.2, 3.0)
        _set(scene, round(leases * scene.lease * 1000))
        return scene.rng.uniform(0.5, 2.0)

    async def undo(self, scene: Scene) -> None:
        """Jump back."""
        _set(scene, 0)
        scene.cause("clock", at=self._begun_at, until=now())


def _set(scene: Scene, millis: int) -> None:
    """Set the error; whoever reads meanwhile finds the old one or the new one."""
    new = scene.clock.with_suffix(".new")
    new.write_text(str(millis))
    new.replace(scene.clock)
