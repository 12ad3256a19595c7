"""Follows what other processes publish, and rings for exactly the jobs that it concerns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.sqlite.connection import Call
from jdobb_async_queue.backends.sqlite.wake import Watcher
from jdobb_async_queue.errors import BackendError

if TYPE_CHECKING:
    from jdobb_async_queue.backends.bells import Bells
    from jdobb_async_queue.backends.sqlite.batcher import Batcher
    from jdobb_async_queue.backends.sqlite.rows import Row
    from jdobb_async_queue.backends.sqlite.transaction import Transaction
    from jdobb_async_queue.backends.sqlite.wake import WakeFile

_BETWEEN = 0.005
_PAGE = 500
_TOO_FAR_BEHIND = 5000


class Tail:
    """One follower per process, for all who watch; it reads only while somebody does."""

    def __init__(self, wake: WakeFile, bells: Bells, reads: Batcher) -> None:
        self._bells, self._reads = bells, reads
        self._seen = 0
        self._again = False
        self._task: asyncio.Task[None] | None = None
        self._watcher = Watcher(wake, bells.ring_types, self._follow)

    def close(self) -> None:
        """Stop following."""
        self._watcher.close()
        if self._task is not None:
            self._task.cancel()

    def skip(self, numbers: range) -> None:
        """Take updates as seen that this process appended and rings for, unless others' stand before them.

        It may be called in any thread: to go back by what another one does at that moment only means to read
        something again.
        """
        if numbers.start == self._seen + 1:
            self._seen = numbers.stop - 1

    def _follow(self) -> None:
        if not self._bells.watched_jobs():
            return
        self._again = True
        if self._task is None or self._task.done():  # cancelled before its first step, it has not run
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._ring_new()
                await asyncio.sleep(_BETWEEN)
        except BackendError:
            self._bells.ring_all()
        finally:
            self._task = None

    async def _ring_new(self) -> None:
        while True:
            found: list[Row] | None = await self._reads.call(Call(self._read, promised=False))
            if found is None:
                self._bells.ring_all()
                return
            for number, job_id, kind, status in found:
                self._seen = number
                self._bells.ring_job(job_id)
                if kind == "status" and status == "cancelled":
                    self._bells.ring_cancelled()
            if len(found) < _PAGE:
                return

    def _read(self, transaction: Transaction) -> list[Row] | None:
        """Return what came since the last look; None when that is too much to go through."""
        ((last,),) = transaction.all("last_update")
        if last - self._seen > _TOO_FAR_BEHIND:
            self._seen = last
            return None
        if last == self._seen:
            return []
        return transaction.all("updates_since", self._seen, transaction.ns, _PAGE)
