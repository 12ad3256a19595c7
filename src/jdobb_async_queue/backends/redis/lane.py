"""Operations of many coroutines in one call of a script."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.gathering import Gatherer, Limits, Waiting
from jdobb_async_queue.backends.redis.faults import refused
from jdobb_async_queue.backends.redis.scripts import Operation
from jdobb_async_queue.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jdobb_async_queue.backends.redis.scripts import Argument

    Send = Callable[[str, int, list[Argument]], Awaitable[list[Any]]]

MAX_OPERATIONS = 64
FLIGHTS = 2
_LIMITS = Limits(MAX_OPERATIONS, size=262_144, weight=60, flights=FLIGHTS)


class Lane(Gatherer[Operation]):
    """One script's calls, a few at a time.

    ``send`` takes the script's name, the number of the flight and the operations' arguments; it returns for
    each operation its answer and the instant at which it was done.
    """

    def __init__(self, name: str, place: str, send: Send, *, max_operations: int = MAX_OPERATIONS) -> None:
        super().__init__(place, replace(_LIMITS, operations=max_operations))
        self._name, self._send = name, send

    async def _run(self, batch: list[Waiting[Operation]], flight: int) -> None:
        arguments: list[Argument] = []
        for item in batch:
            arguments += (item.operation.name, len(item.operation.arguments), *item.operation.arguments)
        try:
            answers = await self._send(self._name, flight, arguments)
        except BaseException as error:  # noqa: BLE001 - it is every caller's
            if isinstance(error, asyncio.CancelledError):
                error = BackendUnavailable(f"{self._place}: the event loop ends")
            self._refuse(batch, error)
            if isinstance(error, BackendUnavailable):  # those behind have waited for the same server
                self._refuse_all(error)
            return
        for item, answer in zip(batch, answers, strict=True):
            said = answer[0]
            failed = isinstance(said, list) and said[:1] == [b"!"]
            self._answer(item, answer, refused(said[1].decode(), self._place) if failed else None)

    def _size(self, operation: Operation) -> int:
        return operation.size

    def _subject(self, operation: Operation) -> str | None:
        return operation.job_id

    def _weight(self, operation: Operation) -> int:
        return operation.weight
