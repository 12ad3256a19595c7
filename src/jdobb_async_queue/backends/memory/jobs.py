"""All jobs of a memory backend, each in every index where it belongs.

The three ways in which something changes (``insert``, ``move``, ``remove``) keep records, orders, counters,
unique keys and update logs in step.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.listing import order_key
from jdobb_async_queue.backends.memory.indexes import LazyHeap, Ready
from jdobb_async_queue.backends.memory.ordered import Ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Reversible

    from jdobb_async_queue.backends.base import ListQuery
    from jdobb_async_queue.records import JobRecord, UpdateRecord

STATUSES = ("pending", "processing", "complete", "failed", "cancelled")


class Jobs:
    """The records and their indexes; finished jobs beyond ``max_finished`` leave, oldest first."""

    def __init__(self, max_finished: int, updates_kept: int) -> None:
        self._max_finished, self._updates_kept = max_finished, updates_kept
        self._records: dict[str, JobRecord] = {}
        self._orders: dict[str | None, Ordered] = {status: Ordered() for status in (None, *STATUSES)}
        """The lists: of each status, and of all jobs."""
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._counts: dict[str, dict[str, int]] = {}
        self._unique: dict[tuple[str, str], str] = {}
        self._updates: dict[str, deque[UpdateRecord]] = {}
        self.ready = Ready(self._records, lambda job_type: self.count(job_type, "pending"))
        self._leases = LazyHeap(self._is_lease, lambda: len(self._orders["processing"]))
        self._deadlines = LazyHeap(self._is_deadline, lambda: len(self._orders["pending"]))
        self._prunable = LazyHeap(self._is_prunable, lambda: len(self._finished))

    # -- finding ---------------------------------------------------------------------------------------

    def get(self, job_id: str) -> JobRecord | None:
        """Return the job with this id."""
        return self._records.get(job_id)

    def __getitem__(self, job_id: str) -> JobRecord:
        return self._records[job_id]

    @property
    def types(self) -> list[str]:
        """Return the job types that have jobs."""
        return list(self._counts)

    def count(self, job_type: str, status: str) -> int:
        """Return how many jobs of this type have this status."""
        counts = self._counts.get(job_type)
        return 0 if counts is None else counts[status]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each type have each status."""
        return {
            job_type: {status: n for status, n in counts.items() if n}
            for job_type, counts in self._counts.items()
        }

    def holder(self, job_type: str, unique_key: str | None) -> JobRecord | None:
        """Return the live job that holds a unique key."""
        job_id = None if unique_key is None else self._unique.get((job_type, unique_key))
        return None if job_id is None else self._records[job_id]

    def updates(self, job_id: str) -> Reversible[UpdateRecord]:
        """Return the kept updates of a job, oldest first."""
        return self._updates.get(job_id, ())

    def in_order(self, query: ListQuery) -> Iterator[JobRecord]:
        """Yield jobs in the order of a list, from its start or behind its cursor."""
        return map(self._records.__getitem__, self._orders[query.status].after(query.after))

    def next_lease_end(self) -> int | None:
        """Return when the first lease may run out (or a little earlier, where it was renewed)."""
        first = self._leases.peek()
        return None if first is None else first[0]

    def next_deadline(self) -> int | None:
        """Return when the ttl of the first pending job is over."""
        first = self._deadlines.peek()
        return None if first is None else first[0]

    # -- what is due -----------------------------------------------------------------------------------

    def pop_expired_lease(self, now: int) -> JobRecord | None:
        """Return a job whose lease has run out."""
        while (top := self._leases.peek()) is not None and top[0] <= now:
            self._leases.pop()
            record = self._records[top[-1]]
            if record.lease_expires_at is None or record.lease_expires_at <= now:
                return record
            self._leases.push((record.lease_expires_at, record.seq, record.lease_token, record.id))
        return None

    def pop_past_deadline(self, now: int) -> JobRecord | None:
        """Return a pending job that did not start within its ttl."""
        return self._pop_due(self._deadlines, now)

    def pop_past_retention(self, now: int) -> JobRecord | None:
        """Return a terminal job that has been kept long enough."""
        return self._pop_due(self._prunable, now)

    # -- changing --------------------------------------------------------------------------------------

    def insert(self, record: JobRecord, now: int) -> None:
        """Add a new pending job."""
        self._records[record.id] = record
        self._orders[None].add(_entry(record, None))
        self._orders["pending"].add(_entry(record, "pending"))
        self._bump(record, 1)
        self._hold_key(record)
        self._index_pending(record, now)

    def move(self, old: JobRecord, new: JobRecord, update: UpdateRecord | None, now: int) -> None:
        """Put the next record of a job in the place of the last, and append its update."""
        self._records[new.id] = new
        if update is not None:
            self._append(new, update)
        if new.status != old.status:
            self._change_status(old, new, now)
        elif new.status == "pending":
            self._orders["pending"].remove(_entry(old, "pending"))
            self._orders["pending"].add(_entry(new, "pending"))
            self._index_pending(new, now)
        if new.holds_key != old.holds_key:
            self._hold_key(new)

    def renew(self, record: JobRecord) -> None:
        """Replace a record of which only the lease has changed."""
        self._records[record.id] = record

    def remove(self, record: JobRecord) -> None:
        """Remove a job with all that belongs to it."""
        del self._records[record.id]
        self._orders[None].remove(_entry(record, None))
        self._orders[record.status].remove(_entry(record, record.status))
        self._finished.pop(record.id, None)
        self._updates.pop(record.id, None)
        self._bump(record, -1)
        if not any(self._counts[record.job_type].values()):
            del self._counts[record.job_type]
        if record.holds_key:
            self._free_key(record)

    def _change_status(self, old: JobRecord, new: JobRecord, now: int) -> None:
        self._orders[old.status].remove(_entry(old, old.status))
        self._bump(old, -1)
        self._orders[new.status].add(_entry(new, new.status))
        self._bump(new, 1)
        if old.completed_at is not None:
            self._finished.pop(old.id, None)
        if new.status == "pending":
            self._index_pending(new, now)
        elif new.status == "processing":
            self._leases.push((new.lease_expires_at, new.seq, new.lease_token, new.id))
        else:
            self._finish(new)

    def _finish(self, record: JobRecord) -> None:
        self._finished[record.id] = None
        if record.prune_at is not None:
            self._prunable.push((record.prune_at, record.seq, record.id))
        while len(self._finished) > self._max_finished:
            self.remove(self._records[next(iter(self._finished))])

    def _index_pending(self, record: JobRecord, now: int) -> None:
        self.ready.add(record, now)
        if record.start_by is not None:
            self._deadlines.push((record.start_by, record.seq, record.id))

    def _hold_key(self, record: JobRecord) -> None:
        if record.holds_key and record.unique_key is not None:
            self._unique[record.job_type, record.unique_key] = record.id
        else:
            self._free_key(record)

    def _free_key(self, record: JobRecord) -> None:
        if record.unique_key is not None:
            key = (record.job_type, record.unique_key)
            if self._unique.get(key) == record.id:
                del self._unique[key]

    def _append(self, record: JobRecord, update: UpdateRecord) -> None:
        log = self._updates.get(record.id)
        if log is None:
            log = self._updates[record.id] = deque()
        log.append(update)
        if len(log) > self._updates_kept:
            record.trimmed_seq = log.popleft().seq

    def _bump(self, record: JobRecord, by: int) -> None:
        counts = self._counts.get(record.job_type)
        if counts is None:
            counts = self._counts[record.job_type] = dict.fromkeys(STATUSES, 0)
        counts[record.status] += by
        if record.status == "pending" and not counts["pending"]:
            self.ready.forget(record.job_type)

    def _pop_due(self, heap: LazyHeap, now: int) -> JobRecord | None:
        top = heap.peek()
        if top is None or top[0] > now:
            return None
        heap.pop()
        return self._records[top[-1]]

    # -- what index entries say ------------------------------------------------------------------------

    def _is_lease(self, entry: tuple[int, int, str, str]) -> bool:
        record = self._records.get(entry[3])
        return record is not None and record.lease_token == entry[2]

    def _is_deadline(self, entry: tuple[int, int, str]) -> bool:
        record = self._records.get(entry[2])
        return (
            record is not None
            and record.seq == entry[1]
            and record.status == "pending"
            and record.start_by == entry[0]
        )

    def _is_prunable(self, entry: tuple[int, int, str]) -> bool:
        record = self._records.get(entry[2])
        return record is not None and record.seq == entry[1] and record.prune_at == entry[0]


def _entry(record: JobRecord, status: str | None) -> tuple[int | str, ...]:
    return (*order_key(record, status), record.id)
