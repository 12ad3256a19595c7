"""Watching jobs live: every update once, in order, also over a reconnect.

The update log is the truth, bells are only hints: clear the bell, read the log after the cursor, yield,
wait. There is no seam between what was stored and what comes, so nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any

from jdobb_async_queue import validation
from jdobb_async_queue.backends.bells import job_topic
from jdobb_async_queue.encoding import encode_object
from jdobb_async_queue.errors import JobNotFound
from jdobb_async_queue.feeds import Feed
from jdobb_async_queue.models import Outcome
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.views import news, snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from jdobb_async_queue.backends.base import QueueBackend, UpdatePage
    from jdobb_async_queue.models import JobUpdate
    from jdobb_async_queue.queue import JobQueue

    _Asked = tuple[tuple[str, int], list[asyncio.Future[UpdatePage | None]]]

_LOOK_AGAIN = 1.0
_IN_TURN = 20
"""How many of several jobs are looked at again each second although no bell rang."""
_AT_ONCE = 8
"""How many of several jobs are read at once: so many pages a slow reader may keep in memory."""
_TOGETHER = 100
"""How many logs are read at once."""
_BEYOND = 2**53
"""No update ever has this seq."""


class Broadcaster:
    """Watches the jobs of a queue, and sends custom updates to whoever watches."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._readings = _Readings(self._backend)
        self._feed: Feed | None = None

    async def snapshot(self, job_id: str) -> JobUpdate:
        """Return the job's present state as an update; its ``seq`` is the latest update's (0 before any).

        ``subscribe(job_id, after=snapshot.seq)`` goes on from there without a seam.
        Raises ``JobNotFound``.
        """
        page = await self._read(job_id, _BEYOND)
        return snapshot(page.record)

    async def changed(self, job_id: str, version: int) -> None:
        """Return when the job's version is another one than ``version``, whatever has changed.

        Raises ``JobNotFound`` when there is no such job, or not any more.
        """
        backend = await self._backend()
        with backend.watch([job_topic(job_id)]) as bell:
            while (await self._read(job_id, _BEYOND)).record.version == version:
                await bell.wait(_LOOK_AGAIN)
                bell.clear()

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
            place = _Place(after)
            page: UpdatePage | None = await self._read(job_id, place.cursor)
            while page is not None:
                for update in place.take(page):
                    yield update
                if place.has_ended:
                    return
                if not place.is_behind:
                    await bell.wait(_LOOK_AGAIN)
                bell.clear()
                page = await self._readings.of(job_id, place.cursor)

    async def subscribe_many(self, after: Mapping[str, int]) -> AsyncIterator[tuple[str, JobUpdate | None]]:
        """Yield the updates of several jobs, each as ``subscribe(job_id, after=n)`` does, until all ended.

        ``after`` is the seq to go on from, by job id. Each item is a job's id with its next update, or with
        None when nothing can follow for that job: it has ended, is unknown or was removed. Updates of one job
        come in their order; those of different jobs in any.
        """
        for job_id, seq in after.items():
            validation.count(seq, f"after[{job_id!r}]", least=0, most=_BEYOND)
        backend = await self._backend()
        course = _Course(after)
        with backend.watch([job_topic(job_id) for job_id in after]) as bell:
            while course.places:
                for job_id, page in await self._read_some(course):
                    for update in course.take(job_id, page):
                        yield job_id, update
                if course.places and not course.due:
                    await bell.wait(_LOOK_AGAIN)
                    course.ask(bell.topics)
                    bell.clear()

    async def _read_some(self, course: _Course) -> list[tuple[str, UpdatePage | None]]:
        asked = course.next()
        places = course.places
        pages = await asyncio.gather(*(self._readings.of(job_id, places[job_id].cursor) for job_id in asked))
        return list(zip(asked, pages, strict=True))

    async def follow(self, job_types: Iterable[str]) -> AsyncIterator[JobUpdate | None]:
        """Yield the updates of every job of these types as they are published, without end.

        None says that updates may have been missed here: look at the jobs afresh. It comes first of all, and
        again when the connection to the backend was lost, or when the follower takes nothing while a
        thousand updates come. Updates of one job come in their order; those of the second before the
        beginning may be among them. All followers of a ``Broadcaster`` share one reader of the backend.
        """
        types = frozenset(validation.names(job_types, "job_types") or ())
        backend = await self._backend()
        if self._feed is None:
            self._feed = Feed(backend)
        async with aclosing(self._feed.follow(types)) as updates:
            async for update in updates:
                yield update

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
        page = await self._readings.of(job_id, after)
        if page is None:
            raise JobNotFound(job_id)
        return page


class _Readings:
    """Readings of update logs: those that are asked for in one turn of the event loop leave together.

    Watchers of one job at one place share a reading that has not begun yet. One that is under way may have
    missed what a watcher's bell just rang for.
    """

    def __init__(self, backend: Callable[[], Awaitable[QueueBackend]]) -> None:
        self._backend = backend
        self._asked: dict[tuple[str, int], list[asyncio.Future[UpdatePage | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, job_id: str, after: int) -> asyncio.Future[UpdatePage | None]:
        """Read the log of a job after a seq."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[UpdatePage | None] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._begin)
        self._asked.setdefault((job_id, after), []).append(waiter)
        return waiter

    def _begin(self) -> None:
        asked, self._asked = list(self._asked.items()), {}
        for begin in range(0, len(asked), _TOGETHER):
            task = asyncio.ensure_future(self._read(asked[begin : begin + _TOGETHER]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read(self, asked: list[_Asked]) -> None:
        pages: Sequence[UpdatePage | BaseException | None]
        try:
            backend = await self._backend()
            pages = await backend.read_many_updates([place for place, _ in asked])
        except Exception as error:  # noqa: BLE001 - every watcher hears of it
            pages = [error] * len(asked)
        for (_, waiters), page in zip(asked, pages, strict=True):
            for waiter in waiters:
                _answer(waiter, page)


def _answer(waiter: asyncio.Future[UpdatePage | None], page: UpdatePage | BaseException | None) -> None:
    if waiter.done():
        return
    if isinstance(page, BaseException):
        waiter.set_exception(page)
    else:
        waiter.set_result(page)


class _Place:
    """Where a watcher of one job is: which updates it has had, and whether more can follow."""

    def __init__(self, after: int | None) -> None:
        self.cursor = _BEYOND if after is None else after
        """The seq to read on from."""
        self.has_ended = False
        """Nothing can follow."""
        self.is_behind = False
        """The last reading had no room for all that there was; what comes later rings."""
        self._after = after
        self._begun_at: int | None = None

    def take(self, page: UpdatePage) -> Iterator[JobUpdate]:
        """Yield what a reading from the cursor found."""
        record = page.record
        if self._begun_at is None:
            self._begun_at = record.last_seq
            self.cursor, first = _first(page, self._after)
            if first is not None:
                yield first
        coming = news(page, self.cursor)
        self.is_behind = bool(coming) and coming[-1].seq < record.last_seq
        for update in coming:
            self.cursor = update.seq
            yield update
            if update.is_terminal and update.seq > self._begun_at:
                self.has_ended = True
                return
        self.has_ended = record.is_terminal and self.cursor >= record.last_seq


class _Course:
    """The places of a watcher of several jobs that go on, and which of them are to be read next."""

    def __init__(self, after: Mapping[str, int]) -> None:
        self.places = {job_id: _Place(seq) for job_id, seq in after.items()}
        self.due = dict.fromkeys(after)
        self._in_turn: deque[str] = deque(after)
        self._looked_at = asyncio.get_running_loop().time()

    def next(self) -> list[str]:
        """Take the next few of what is due."""
        taken = list(islice(self.due, _AT_ONCE))
        for job_id in taken:
            del self.due[job_id]
        return taken

    def take(self, job_id: str, page: UpdatePage | None) -> Iterator[JobUpdate | None]:
        """Yield what a reading found, and None at the end of the job."""
        place = self.places[job_id]
        if page is not None:
            yield from place.take(page)
        if page is None or place.has_ended:
            del self.places[job_id]
            self._in_turn.remove(job_id)
            yield None
        elif place.is_behind:
            self.due[job_id] = None

    def ask(self, topics: set[str] | None) -> None:
        """Make due what rang (None: everything), and from time to time some that did not."""
        for job_id in self.places:
            if topics is None or job_topic(job_id) in topics:
                self.due[job_id] = None
        now = asyncio.get_running_loop().time()
        if now >= self._looked_at + _LOOK_AGAIN:
            self._looked_at = now
            self._in_turn.rotate(-_IN_TURN)
            self.due |= dict.fromkeys(islice(self._in_turn, _IN_TURN))


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


def _first(page: UpdatePage, after: int | None) -> tuple[int, JobUpdate | None]:
    """Return the cursor to read on from, and what to yield before that."""
    record = page.record
    if after is None:
        return record.last_seq, snapshot(record) if record.is_terminal else None
    if after > record.last_seq and not record.is_terminal:
        return record.last_seq, snapshot(record, gap=True)
    return after, None
