"""The shape of every loop of a worker: poll, then wait for a bell or the delay that the poll asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.backends.bells import Bell
from jdobb_async_queue.errors import BackendError
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.models import LoopState

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
        self._turning_since: float | None = None

    @property
    def state(self) -> LoopState:
        """Return how the loop does: what it is called, what failed, and since when it turns."""
        since = self._turning_since
        turning_for = 0.0 if since is None else max(0.0, self.shift.clock.monotonic() - since)
        return LoopState(name=self.name, failures=self._failures, turning_for=turning_for)

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

    async def keep_running(self) -> None:
        """Run until stopped, and anew whatever a run ends of."""
        while not self.stopped:
            try:
                await self.run()
            except Exception as error:  # noqa: BLE001 - without one of its loops a worker is none
                await self.bell.wait(self._failed(error))

    async def run(self) -> None:
        """Poll until stopped."""
        while not self.stopped:
            await self.turn()

    async def turn(self) -> None:
        """Poll once, and wait as it asked."""
        self.woken = self.bell.rung
        self.bell.clear()
        self._turning_since = self.shift.clock.monotonic()
        try:
            delay = await self.poll()
        except Exception as error:  # noqa: BLE001 - a loop goes on whatever one poll meets
            delay = self._failed(error)
        else:
            if self._failures:
                self.shift.tell(facts.BackendBack(self.name, self._failures))
                self._failures = 0
        finally:
            self._turning_since = None
        if self.stopped:
            return
        if delay == REST:
            await self.shift.pulse.rest(self.bell)
        else:
            await self.bell.wait(delay)

    def _failed(self, error: Exception) -> float:
        """Tell of an error, and return the seconds to pause."""
        self._failures += 1
        is_outage = isinstance(error, BackendError)
        self.shift.tell(
            facts.BackendLost(self.name, str(error), self._failures)
            if is_outage
            else facts.LoopFailed(self.name, error)
        )
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 20))
        return longest * (0.5 + 0.5 * self.shift.options.rng.random())
