"""What every fault is: it begins, it lasts, it is undone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from chaos.scene import Scene

EVERYWHERE = frozenset({"memory", "sqlite", "redis"})
PROCESSES, SURROUNDINGS = "processes", "surroundings"


class Fault(ABC):
    """Something bad that happens once; a new object each time.

    ``what`` and ``undone`` say in words what it does and how it ends. ``family`` names it together with its
    kin. Of each ``lane`` one fault happens at a time: one strikes processes, one what is around them.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    what: ClassVar[str]
    undone: ClassVar[str]
    backends: ClassVar[frozenset[str]] = EVERYWHERE
    durabilities: ClassVar[frozenset[str]] = frozenset({"full", "normal"})
    lane: ClassVar[str] = SURROUNDINGS

    target = "-"
    """What was struck, for the history."""

    @abstractmethod
    async def begin(self, scene: Scene) -> float | None:
        """Do it; return the seconds that it is to last, None when there was nothing to strike."""

    async def undo(self, scene: Scene) -> None:
        """Put right what was done; called after each beginning that returned a number, or was broken off."""
        del scene
