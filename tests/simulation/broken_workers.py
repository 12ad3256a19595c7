"""Workers that are wrong in one way each, which the simulation must find."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from jdobb_async_queue import BackendError, Worker
from jdobb_async_queue.worker.completer import Completer
from jdobb_async_queue.worker.crew import Crew
from jdobb_async_queue.worker.fetcher import Fetcher
from jdobb_async_queue.worker.shift import Execution, Shift


class StartsOnLostLeases(Worker):
    """A handler is started although its lease has run out meanwhile."""

    def _new_shift(self) -> Shift:
        shift = super()._new_shift()
        take = shift.slots.take

        def careless(execution: Execution) -> None:
            execution.deadline = math.inf
            take(execution)

        shift.slots.take = careless  # type: ignore[method-assign]  # the defect
        return shift


class _Spoiled(Worker):
    """A worker with a loop of its own making; its crew is spoiled as soon as there is one."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_crew" and isinstance(value, Crew):
            self.spoil(value)
        super().__setattr__(name, value)

    def spoil(self, crew: Crew) -> None:
        raise NotImplementedError


class ForgetsOutcomes(_Spoiled):
    """An outcome that could not be stored at once is forgotten."""

    def spoil(self, crew: Crew) -> None:
        for completer in crew._completers:
            completer.__class__ = _Forgetful


class _Forgetful(Completer):
    async def poll(self) -> float | None:
        waiting = list(self._waiting)
        try:
            return await super().poll()
        except BackendError:
            self._waiting = []
            for execution, _ in waiting:
                execution.settled = True
                self.shift.slots.give_back(execution)
            raise


class StopsFetchingAfterAnOutage(_Spoiled):
    """After a claim that failed the worker waits for ever: it lives, and does nothing."""

    def spoil(self, crew: Crew) -> None:
        crew._fetcher.__class__ = _Discouraged


class _Discouraged(Fetcher):
    async def poll(self) -> float | None:
        try:
            return await super().poll()
        except BackendError:
            await asyncio.Event().wait()
            raise
