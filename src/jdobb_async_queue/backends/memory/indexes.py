"""The orders in which the memory backend finds jobs: heaps whose stale entries are skipped, not searched."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from jdobb_async_queue.records import JobRecord

_SMALL = 1000


class LazyHeap:
    """Entries ``(*sort key, job id)`` of which some may have become stale.

    ``valid`` tells whether an entry still says the truth about its job. Stale entries are dropped when
    they reach the top; when they outnumber the valid ones (``size`` tells how many those can be at most)
    the heap is rebuilt, so it never holds more than about twice what it needs.
    """

    __slots__ = ("_entries", "_size", "_valid")

    def __init__(self, valid: Callable[[Any], bool], size: Callable[[], int]) -> None:
        self._entries: list[Any] = []
        self._valid, self._size = valid, size

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, entry: Any) -> None:
        """Add an entry."""
        entries = self._entries
        heappush(entries, entry)
        if len(entries) > _SMALL and len(entries) > 2 * self._size() + _SMALL:
            self._entries = list({entry for entry in entries if self._valid(entry)})
            heapify(self._entries)

    def peek(self) -> Any | None:
        """Return the first valid entry, or None."""
        entries, valid = self._entries, self._valid
        while entries:
            if valid(entries[0]):
                return entries[0]
            heappop(entries)
        return None

    def pop(self) -> Any:
        """Remove and return the top entry."""
        return heappop(self._entries)


class Ready:
    """Pending jobs in claim order, per type: those that are due, and those that wait for their time."""

    def __init__(self, jobs: dict[str, JobRecord], size: Callable[[str], int]) -> None:
        self._jobs, self._size = jobs, size
        self._due: dict[str, LazyHeap] = {}
        self._later: dict[str, LazyHeap] = {}

    def add(self, record: JobRecord, now: int) -> None:
        """Queue a pending job."""
        if record.run_at <= now:
            entry = (-record.priority, record.run_at, record.seq, record.id)
            self._heap(self._due, record.job_type, self._is_due).push(entry)
        else:
            later = (record.run_at, record.seq, record.id)
            self._heap(self._later, record.job_type, self._is_later).push(later)

    def forget(self, job_type: str) -> None:
        """Drop what is left of a type without pending jobs."""
        self._due.pop(job_type, None)
        self._later.pop(job_type, None)

    def best(self, job_types: list[str], now: int) -> str | None:
        """Remove and return the id of the best ready job of these types."""
        best: Any = None
        best_heap: LazyHeap | None = None
        for job_type in job_types:
            self._promote(job_type, now)
            heap = self._due.get(job_type)
            if heap is None:
                continue
            top = heap.peek()
            if top is None:
                del self._due[job_type]
            elif best is None or top < best:
                best, best_heap = top, heap
        if best_heap is None:
            return None
        best_heap.pop()
        job_id: str = best[-1]
        return job_id

    def next_run_at(self, job_type: str) -> int | None:
        """Return when the first waiting job of this type becomes due."""
        heap = self._later.get(job_type)
        top = heap.peek() if heap else None
        return None if top is None else top[0]

    def oldest(self, job_type: str, now: int) -> tuple[int, int | None]:
        """Return how many jobs of this type are ready, and the earliest ``run_at`` among them."""
        self._promote(job_type, now)
        heap = self._due.get(job_type)
        if heap is None:
            return 0, None
        ready = {entry[-1]: entry[1] for entry in heap._entries if self._is_due(entry)}  # noqa: SLF001 - the two classes are one structure
        return len(ready), min(ready.values(), default=None)

    def _promote(self, job_type: str, now: int) -> None:
        heap = self._later.get(job_type)
        if heap is None:
            return
        while (top := heap.peek()) is not None and top[0] <= now:
            heap.pop()
            self.add(self._jobs[top[-1]], now)
        if not len(heap):
            del self._later[job_type]

    def _heap(self, heaps: dict[str, LazyHeap], job_type: str, valid: Callable[[Any], bool]) -> LazyHeap:
        heap = heaps.get(job_type)
        if heap is None:
            heap = heaps[job_type] = LazyHeap(valid, lambda: self._size(job_type))
        return heap

    def _is_due(self, entry: Any) -> bool:
        record = self._jobs.get(entry[3])
        return (
            record is not None
            and record.status == "pending"
            and record.seq == entry[2]
            and record.run_at == entry[1]
            and record.priority == -entry[0]
        )

    def _is_later(self, entry: Any) -> bool:
        record = self._jobs.get(entry[2])
        return (
            record is not None
            and record.status == "pending"
            and record.seq == entry[1]
            and record.run_at == entry[0]
        )
