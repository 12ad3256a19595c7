"""Watching jobs live: every update once, in order, also over a reconnect.

The update log is the truth, bells are only hints: clear the bell, read the log after the cursor, yield,
wait. There is no seam between what was stored and what comes, so nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jdobb_async_queue import validation
from jdobb_async_queue.backends.bells import job_topic
from jdobb_async_queue.encoding import encode_object
from jdobb_async_queue.errors import JobNotFound
from jdobb_async_queue.models import Outcome
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.views import snapshot, update_view

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from jdobb_async_queue.backends.base import QueueBackend, UpdatePage
    from jdobb_async_queue.models import JobUpdate
    from jdobb_async_queue.queue import JobQueue

_LOOK_AGAIN = 1.0
_BEYOND = 2**53
"""No update ever has this seq."""


class Broadcaster:
    """Watches the jobs of a queue, and sends custom updates to whoever watches."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._reads: dict[tuple[str, int], asyncio.Task[UpdatePage | None]] = {}

    async def snapshot(self, job_id: str) -> JobUpdate:
        """Return the job's present state as an update; its ``seq`` is the latest update's (0 before any).

        ``subscribe(job_id, after=snapshot.seq)`` goes on from there without a seam.
        Raises ``JobNotFound``.
        """
        page = await self._read(job_id, _BEYOND)
        return snapshot(page.record)

    async def subscribe(self, job_id: str, *, after: int | None = None) -> AsyncIterator[JobUpdate]:
        """Yield the job's updates until its terminal one.

        Without ``after``: what is published from now on; of a job that is already terminal, its final
        update. With ``after=n``: first every kept update with ``seq > n``, in order; where older ones were
        trimmed (or ``n`` is ahead of the log), one update with ``gap=True`` that carries the present
        state and its seq, then what follows. ``after`` at or beyond a terminal job's last seq ends at once.

        Raises ``JobNotFound`` for an unknown job; a job removed meanwhile ends the iteration.
        """
        if after is not None:
            validation.count(after, "after", least=0, most=_BEYOND)
        backend = await self._backend()
        with backend.watch([job_topic(job_id)]) as bell:
            page = await self._read(job_id, _BEYOND if after is None else after)
            begun_at = page.record.last_seq
            cursor, first = _first(page, after)
            if first is not None:
                yield first
            while True:
                news = _news(page, cursor)
                for update in news:
                    cursor = update.seq
                    yield update
                    if update.is_terminal and cursor > begun_at:
                        return
                if page.record.is_terminal and cursor >= page.record.last_seq:
                    return
                if not news:
                    await bell.wait(_LOOK_AGAIN)
                bell.clear()
                try:
                    page = await self._read(job_id, cursor)
                except JobNotFound:
                    return

    async def subscribe_with_timeout(
        self,
        job_id: str,
        timeout: float,
    ) -> AsyncIterator[JobUpdate]:
        """Do as ``subscribe`` does; ``TimeoutError`` when no update came for ``timeout`` seconds."""
        patience = validation.positive(timeout, "timeout")
        updates = self.subscribe(job_id)
        try:
            while (update := await _within(anext(updates, None), patience, job_id)) is not None:
                yield update
        finally:
            await updates.aclose()  # type: ignore[attr-defined]  # an async generator

    async def send(
        self,
        job_id: str,
        progress: float | None = None,
        message: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> bool:
        """Publish a custom update of a live job; the stored job stays as it is.

        ``data`` (a JSON object) arrives as ``update.data``. False when the job is unknown or terminal.
        """
        checked = None if progress is None else validation.progress(progress)
        said = validation.optional_text(message, "message", validation.MAX_MESSAGE_LENGTH)
        limit = self._queue.options.max_payload_bytes
        encoded = None if data is None else encode_object(data, "data", limit)
        backend = await self._backend()
        change = Transition.send(job_id, checked, said, encoded)
        return (await backend.apply([change], records=False))[0].outcome is Outcome.OK

    async def _backend(self) -> QueueBackend:
        await self._queue.open()
        return self._queue.backend

    async def _read(self, job_id: str, after: int) -> UpdatePage:
        """Read the log; watchers of one job at one place share a reading that has not begun yet.

        One that is under way may have missed what a watcher's bell just rang for.
        """
        key = (job_id, after)
        reading = self._reads.get(key)
        if reading is None:
            reading = self._reads[key] = asyncio.ensure_future(self._begin(key))
        page = await asyncio.shield(reading)
        if page is None:
            raise JobNotFound(job_id)
        return page

    async def _begin(self, key: tuple[str, int]) -> UpdatePage | None:
        await asyncio.sleep(0)
        self._reads.pop(key, None)
        backend = await self._backend()
        return await backend.read_updates(*key)


async def _within(coming: Awaitable[JobUpdate | None], patience: float, job_id: str) -> JobUpdate | None:
    """Return the update that comes; whatever ends the waiting, nothing goes on waiting behind it."""
    pending = asyncio.ensure_future(coming)
    try:
        done, _ = await asyncio.wait([pending], timeout=patience)
    finally:
        if not pending.done():
            pending.cancel()
            await asyncio.wait([pending])
    if not done:
        msg = f"no update of job {job_id!r} for {patience:g} s"
        raise TimeoutError(msg)
    return pending.result()


def _news(page: UpdatePage, cursor: int) -> list[JobUpdate]:
    """Return what a reading after ``cursor`` found; the present state alone where older was trimmed."""
    if page.record.trimmed_seq > cursor:
        return [snapshot(page.record, gap=True)]
    return [update_view(page.record, update) for update in page.updates]


def _first(page: UpdatePage, after: int | None) -> tuple[int, JobUpdate | None]:
    """Return the cursor to read on from, and what to yield before that."""
    record = page.record
    if after is None:
        return record.last_seq, snapshot(record) if record.is_terminal else None
    if after > record.last_seq and not record.is_terminal:
        return record.last_seq, snapshot(record, gap=True)
    return after, None
