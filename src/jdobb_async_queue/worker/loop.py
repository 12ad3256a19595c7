"""The shape of every loop of a worker: poll, then wait for a bell or the delay that the poll asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.backends.bells import Bell
from jdobb_async_queue.errors import BackendError
from jdobb_async_queue.instrumentation import facts

if TYPE_CHECKING:
    from jdobb_async_queue.worker.shift import Shift

REST = math.inf
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class Loop(ABC):
    """A named loop. An outage of the backend never ends it: it tries again, ever more slowly, with jitter."""

    name: ClassVar[str]

    def __init__(self, shift: Shift) -> None:
        self.shift = shift
        self.bell = Bell()
        self.stopped = False
        self.woken = False
        """The present poll follows a ring, not a delay."""
        self._failures = 0

    @abstractmethod
    async def poll(self) -> float | None:
        """Do what is to be done now.

        Return the seconds until the next look, None to wait for the bell, ``REST`` to look again when all
        loops do that rest.
        """

    def ring(self) -> None:
        """Wake the loop."""
        self.bell.ring()

    def stop(self) -> None:
        """Let the loop end after its present poll."""
        self.stopped = True
        self.bell.ring()

    async def run(self) -> None:
        """Poll until stopped."""
        while not self.stopped:
            await self.turn()

    async def turn(self) -> None:
        """Poll once, and wait as it asked."""
        self.woken = self.bell.rung
        self.bell.clear()
        try:
            delay = await self.poll()
        except BackendError as error:
            delay = self._failed(facts.BackendLost(self.name, str(error), self._failures + 1))
        except Exception as error:  # noqa: BLE001 - a loop goes on whatever one poll meets
            delay = self._failed(facts.LoopFailed(self.name, error))
        else:
            if self._failures:
                self.shift.tell(facts.BackendBack(self.name, self._failures))
                self._failures = 0
        if self.stopped:
            return
        if delay == REST:
            await self.shift.pulse.rest(self.bell)
        else:
            await self.bell.wait(delay)

    def _failed(self, fact: facts.Fact) -> float:
        self._failures += 1
        self.shift.tell(fact)
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 20))
        return longest * (0.5 + 0.5 * self.shift.options.rng.random())
