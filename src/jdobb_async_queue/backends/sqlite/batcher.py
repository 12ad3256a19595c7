"""Calls of many coroutines in one transaction."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.gathering import Gatherer, Limits, Waiting
from jdobb_async_queue.backends.sqlite.connection import Batch, Call, Reader, Writer
from jdobb_async_queue.backends.sqlite.faults import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiosqlite

    from jdobb_async_queue.backends.sqlite.transaction import Touched

logger = logging.getLogger("jdobb_async_queue")

MAX_BATCH = 128
_IDLE = 1.0


class Batcher(Gatherer[Call]):
    """The way to one connection.

    ``on_commit`` is called on the event loop with whom each batch touched. ``checkpoint`` runs in the
    connection's thread when a batch says that it is due, ``when_idle`` after a second without work.
    """

    def __init__(
        self,
        database: aiosqlite.Connection,
        connection: Reader | Writer,
        place: str,
        *,
        max_batch: int = MAX_BATCH,
        on_commit: Callable[[Touched], None] = lambda _: None,
        checkpoint: Callable[[], object] | None = None,
        when_idle: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(place, Limits(max_batch))
        self._database = database
        self._connection = connection
        self._on_commit, self._checkpoint, self._when_idle = on_commit, checkpoint, when_idle
        self._timer: asyncio.TimerHandle | None = None

    async def close(self, within: float | None = None) -> None:
        """Finish what was called, and refuse what comes later."""
        self._stop_resting()
        await super().close(within)
        self._stop_resting()

    async def _run(self, batch: list[Waiting[Call]], flight: int) -> None:
        del flight
        self._stop_resting()
        calls = [item.operation for item in batch]
        try:
            done: Batch = await self._hop(lambda: self._connection.run(calls))
        except Exception as error:  # noqa: BLE001 - it is every caller's
            self._refuse(batch, translated(error, self._place))
            return
        self._put_back(batch[len(done.results) :])
        self._on_commit(done.touched)
        for item, result in zip(batch, done.results, strict=False):
            failure = None if result.error is None else translated(result.error, self._place)
            self._answer(item, result.value, failure)
        if done.is_checkpoint_due:
            await self._tidy_up(self._checkpoint)
        await asyncio.sleep(0)  # whoever was answered may call again now: that joins the next batch

    def _rest(self) -> None:
        """Let the thread tidy up after a second without work."""
        if self._when_idle is not None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(_IDLE, self._tidy)

    def _stop_resting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tidy(self) -> None:
        if self._away == 0 and not self._closed:
            self._begin(lambda _: self._tidy_up(self._when_idle))

    async def _tidy_up(self, work: Callable[[], object] | None) -> None:
        try:
            await self._hop(work)
        except Exception:
            logger.debug("tidying up has to wait", exc_info=True)

    async def _hop(self, work: Callable[[], Any] | None) -> Any:
        """Do ``work`` in the connection's thread, and return only when it is over.

        A loop that ends cancels this task too; the calls under way are finished and answered all the same.
        """
        self._connection.work = work
        hopping = True
        while hopping:
            try:
                await self._database.commit()
                hopping = False
            except asyncio.CancelledError:
                logger.debug("waiting for the connection's thread")
        return self._connection.outcome()
