"""Lists: the sorted sets of the job types, merged in the order of the list."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.base import RecordPage
from jdobb_async_queue.backends.listing import matches, sort_key
from jdobb_async_queue.backends.redis.keys import RANK, STATUS_LETTERS, WEIGHT_RANKS
from jdobb_async_queue.backends.redis.scripts import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from jdobb_async_queue.backends.base import ListQuery
    from jdobb_async_queue.backends.redis.scripts import Argument
    from jdobb_async_queue.records import JobRecord

    Read = Callable[[Operation], Awaitable[Any]]
    Get = Callable[[Sequence[str]], Awaitable[list[JobRecord | None]]]

Place = tuple[int, ...]
"""What a list is sorted by, ascending; see ``listing.sort_key``."""

_WEIGHTS = {rank: weight for weight, rank in WEIGHT_RANKS.items()}
_SEQUENCE_DIGITS = 13
_CHUNK = 100


async def list_jobs(query: ListQuery, types: Sequence[str], read: Read, get: Get) -> RecordPage:
    """Return a page of the jobs of these types."""
    found: list[JobRecord] = []
    last: Place | None = None
    examined = 0
    ahead: deque[tuple[Place, JobRecord | None]] = deque()
    places = _merged(query, types, read)
    while True:
        if not ahead:
            chunk = [item async for item in _some(places, max(1, min(_CHUNK, query.limit - len(found) + 1)))]
            records = await get([job_id for _, job_id in chunk])
            ahead.extend((place, record) for (place, _), record in zip(chunk, records, strict=True))
            if not ahead:
                return RecordPage(found, None)
        if len(found) == query.limit or examined == query.examine:
            return RecordPage(found, last)
        place, record = ahead.popleft()
        examined += 1
        last = place
        if record is not None and matches(record, query) and sort_key(record, query) == place:
            found.append(record)


async def _some(
    places: AsyncIterator[tuple[Place, str]], count: int
) -> AsyncIterator[tuple[Place, str]]:  # fmt: skip
    while count and (item := await anext(places, None)) is not None:
        yield item
        count -= 1


async def _merged(query: ListQuery, types: Sequence[str], read: Read) -> AsyncIterator[tuple[Place, str]]:
    """Yield places and ids behind the query's cursor, in the order of the list."""
    sources = [_Source(job_type, query) for job_type in types]
    await _refill(sources, read, query)
    heap = [(source.head, number) for number, source in enumerate(sources) if source.head is not None]
    heapq.heapify(heap)
    while heap:
        head, number = heap[0]
        yield head
        source = sources[number]
        source.items.popleft()
        if not source.items and not source.is_read:
            await _refill([source], read, query)
        if source.head is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (source.head, number))


async def _refill(sources: list[_Source], read: Read, query: ListQuery) -> None:
    """Read on in each index until it has something, or is at its end."""
    limit = max(2, min(_CHUNK, query.limit + 1))
    while empty := [source for source in sources if not source.items and not source.is_read]:
        arguments: list[Argument] = [limit, *(part for source in empty for part in source.next_range())]
        for source, flat in zip(empty, await read(Operation("range", arguments)), strict=True):
            source.take(flat, limit)


class _Source:
    """One sorted set, read in chunks from the cursor on."""

    def __init__(self, job_type: str, query: ListQuery) -> None:
        self.items: deque[tuple[Place, str]] = deque()
        self.is_read = False
        self._after = None if query.after is None else tuple(query.after)
        self._status = query.status
        self._is_pending = self._status == "pending"
        letter = None if self._status is None else STATUS_LETTERS[self._status]
        self._key = f"all:{job_type}" if letter is None else f"x:{letter}:{job_type}"
        self._score = None if self._after is None else self._score_of(self._after)
        self._skip = 0

    @property
    def head(self) -> tuple[Place, str] | None:
        """Return the first item that was read."""
        return self.items[0] if self.items else None

    def next_range(self) -> tuple[str, str, str, str]:
        """Return the arguments that read on."""
        score = "" if self._score is None else str(self._score)
        return self._key, "" if self._is_pending else "1", score, str(self._skip)

    def take(self, flat: Sequence[bytes], limit: int) -> None:
        """Take what was read: members and scores."""
        for member, score in zip(flat[::2], flat[1::2], strict=True):
            number = int(float(score))
            if number == self._score:
                self._skip += 1
            else:
                self._score, self._skip = number, 1
            place, job_id = self._place_of(member.decode(), number)
            if self._after is None or place > self._after:
                self.items.append((place, job_id))
        self.is_read = len(flat) < 2 * limit

    def _score_of(self, place: Place) -> int:
        if self._is_pending:
            return WEIGHT_RANKS[-place[0]] * RANK + place[1]
        return -place[0]

    def _place_of(self, member: str, score: int) -> tuple[Place, str]:
        if self._status is None:
            return (-score,), member
        seq, job_id = int(member[:_SEQUENCE_DIGITS], 16), member[_SEQUENCE_DIGITS:]
        if self._is_pending:
            rank, run_at = divmod(score, RANK)
            return (-_WEIGHTS[rank], run_at, seq), job_id
        return (-score, -seq), job_id
