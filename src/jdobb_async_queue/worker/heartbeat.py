"""Keeps the leases of running jobs, learns which are lost or cancelled, and registers the worker."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.backends.base import LeaseRef
from jdobb_async_queue.backends.bells import CANCELLED as CANCELLED_TOPIC
from jdobb_async_queue.records import WorkerBeat
from jdobb_async_queue.worker.loop import REST, Loop
from jdobb_async_queue.worker.shift import CANCELLED, LOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from jdobb_async_queue.worker.shift import Execution, Shift

_LOOK_EVERY = 1.0
_REGISTER_EVERY = 10.0
_RENEWALS_PER_LEASE = 3
_AT_ONCE = 500


class Heartbeat(Loop):
    """Looks at the running leases every second, and at once after a cancellation; renews each at a third."""

    name: ClassVar[str] = "heartbeat"

    def __init__(self, shift: Shift, obey: Callable[[str], None]) -> None:
        super().__init__(shift)
        self._obey = obey
        self._due: dict[str, float] = {}
        """When each lease is to be renewed, by the monotonic clock."""
        self._look_at = math.inf
        """When to look at the leases, by the same clock; never while there are none."""
        self._kept_until = -1
        """Until when no lease held now runs out, by the backend's clock in milliseconds."""
        self._registered = -math.inf
        self._started_at = shift.backend.now()
        shift.slots.on_take(self._begin)

    async def run(self) -> None:
        """Poll until stopped, woken by cancellations anywhere."""
        with self.shift.backend.watch([CANCELLED_TOPIC]) as self.bell:
            await super().run()

    async def poll(self) -> float | None:
        """Check the leases, and the registration when its time has come or something was signalled."""
        now = self.shift.clock.monotonic()
        executions = self._held()
        self._due = {
            item.token: self._due.get(item.token, _third(item, item.deadline - item.lease))
            for item in executions
        }
        pause = min(_LOOK_EVERY, self.shift.options.lease / 1000 / _RENEWALS_PER_LEASE)
        if executions and (self.woken or now >= min(self._look_at, *self._due.values())):
            await self._check_leases(executions, now)
            self._look_at = now + pause
        if self.woken or now >= self._registered + _REGISTER_EVERY:
            await self._register(now)
        if not self._held():  # nor was any begun while this poll waited for the backend
            self._look_at = math.inf
            return REST
        self._look_at = min(self._look_at, now + pause)
        return max(0.0, min([self._look_at, *self._due.values()]) - now)

    async def keep(self) -> None:
        """Renew what ran out unnoticed; to be awaited before this worker rescues what others have lost.

        Its store was away, or its machine asleep. The jobs still run: a worker takes none from itself.
        """
        now, lease = self.shift.backend.now(), self.shift.options.lease
        if self._kept_until - lease <= now < self._kept_until:
            return
        late = [item for item in self._held() if item.expires_at <= now]
        if late:
            await self._ask(late, {item.token for item in late})
        self._kept_until = min((item.expires_at for item in self._held()), default=now + lease)

    def _begin(self) -> None:
        if self._look_at == math.inf:  # it rests, whatever handlers of lost leases still run
            self.bell.nudge()

    def _held(self) -> list[Execution]:
        return [item for item in self.shift.slots.executions if item.keeps_lease]

    async def _check_leases(self, executions: list[Execution], now: float) -> None:
        await self._ask(executions, {token for token, due in self._due.items() if now >= due})

    async def _ask(self, executions: list[Execution], due: set[str]) -> None:
        """Look at leases, and renew those whose tokens are due; others have their turn in between."""
        for begin in range(0, len(executions), _AT_ONCE):
            if begin:
                await asyncio.sleep(0)
            await self._ask_some(executions[begin : begin + _AT_ONCE], due)

    async def _ask_some(self, executions: list[Execution], due: set[str]) -> None:
        now, asked_at = self.shift.clock.monotonic(), self.shift.backend.now()
        refs = [LeaseRef(item.record.id, item.token, extend=item.token in due) for item in executions]
        answers = await self.shift.backend.heartbeat(refs)
        for execution, ref, answer in zip(executions, refs, answers, strict=True):
            if answer.status != "ok":
                execution.lose(CANCELLED if answer.status == "cancelled" else LOST)
                continue
            execution.expires_at = asked_at + answer.expires_in
            if ref.extend:
                self._due[execution.token] = _third(execution, now)

    async def _register(self, now: float) -> None:
        shift = self.shift
        executions = shift.slots.executions
        beat = WorkerBeat(
            id=shift.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=shift.slots.size,
            job_types=shift.claimable(),
            jobs=tuple(item.record.id for item in executions),
            stopping=tuple(item.record.id for item in executions if item.stop_reason is not None),
            started_at=self._started_at,
        )
        self._registered = -math.inf  # until it has worked
        directive = await shift.backend.beat_worker(beat)
        self._registered = now
        self._obey(directive)


def _third(execution: Execution, since: float) -> float:
    return since + execution.lease / _RENEWALS_PER_LEASE
