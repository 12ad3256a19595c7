"""What happened per minute and job type, and which errors came how often: counted as jobs move.

A ledger collects the figures of the moves that it is shown. The memory backend keeps one for ever; others
keep one per transaction and merge it into their store. Nothing here scans jobs. What is older than a day
leaves as new figures come, and so do the oldest beyond a number that many names of types would pass.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.models import ErrorGroup, HistoryPoint, instant

if TYPE_CHECKING:
    from jdobb_async_queue.records import JobRecord
    from jdobb_async_queue.transitions import AttemptFailure

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
MOST_TALLIES = 50_000
MOST_ERRORS = 10_000
MOST_KINDS = 400
"""Kinds of errors that are told apart in an hour: workers name them, and could name each one anew."""
OTHER = "Other"
"""The kind of all further ones of a job type."""
_STEPS_PER_DOUBLING = 4
_MESSAGE_LENGTH = 300


@dataclass(slots=True)
class Tally:
    """One minute of one job type. Waits and runs are counted in buckets that grow by a fifth each."""

    figures: Counter[str] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)
    runs: Counter[int] = field(default_factory=Counter)

    def merge(self, other: Tally) -> None:
        """Add another tally's counts to this one."""
        self.figures.update(other.figures)
        self.waits.update(other.waits)
        self.runs.update(other.runs)

    def point(self, minute: int, job_type: str) -> HistoryPoint:
        """Return the figures as users see them."""
        figures: dict[str, Any] = dict(self.figures)
        return HistoryPoint(
            minute=instant(minute),
            job_type=job_type,
            wait_p50=quantile(self.waits, 0.5),
            wait_p95=quantile(self.waits, 0.95),
            run_p50=quantile(self.runs, 0.5),
            run_p95=quantile(self.runs, 0.95),
            **figures,
        )


@dataclass(slots=True)
class ErrorTally:
    """One hour of one error type of one job type."""

    count: int
    last_message: str
    last_job_id: str
    last_at: int


class Ledger:
    """The figures of the moves that it was shown."""

    def __init__(self) -> None:
        self.tallies: OrderedDict[tuple[int, str], Tally] = OrderedDict()
        self.errors: OrderedDict[tuple[int, str, str], ErrorTally] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self.tallies or self.errors)

    def stored(self, record: JobRecord) -> None:
        """Count a new job."""
        self._tally(record.created_at, record.job_type).figures["enqueued"] += 1

    def moved(self, old: JobRecord, new: JobRecord, failure: AttemptFailure | None = None) -> None:
        """Count a job's step from one record to the next; that of an operator's retry is in no figure."""
        if new.status == old.status and failure is None:
            return
        if new.status == "pending" and old.completed_at is not None:
            return
        now = new.updated_at
        tally = self._tally(now, new.job_type)
        if new.status == "processing":
            tally.figures["started"] += 1
            tally.waits[bucket(now - new.run_at)] += 1
            return
        if new.completed_at is not None:
            tally.figures[new.status] += 1
        elif failure is not None or new.losses > old.losses:
            tally.figures["retried"] += 1
        if old.status == "processing" and old.started_at is not None:
            tally.runs[bucket(now - old.started_at)] += 1
        if failure is not None:
            self._error(new, failure.type, failure.message, now)
        elif new.losses > old.losses:
            self._error(new, "LeaseLost", "the lease ran out", now)
        elif new.status == "failed":
            self._error(new, "Expired", new.error or "", now)

    def merge(self, other: Ledger) -> None:
        """Add another ledger's figures to this one."""
        for key, tally in other.tallies.items():
            self.tallies.setdefault(key, Tally()).merge(tally)
        for error, found in other.errors.items():
            known = self.errors.get(error)
            count = found.count + (known.count if known else 0)
            self.errors[error] = ErrorTally(count, found.last_message, found.last_job_id, found.last_at)

    def forget(self, now: int) -> None:
        """Drop what is older than a day."""
        _trim(self.tallies, now - DAY - MINUTE, MOST_TALLIES)
        _trim(self.errors, now - DAY - HOUR, MOST_ERRORS)

    def points(self, since: int) -> list[HistoryPoint]:
        """Return the minutes from ``since`` on, oldest first."""
        return [
            tally.point(minute, job_type)
            for (minute, job_type), tally in sorted(self.tallies.items(), key=lambda item: item[0])
            if minute + MINUTE > since
        ]

    def groups(self, since: int) -> list[ErrorGroup]:
        """Return the errors since then by job type and error type, most frequent first."""
        return error_groups(
            (job_type, kind, tally)
            for (hour, job_type, kind), tally in self.errors.items()
            if hour + HOUR > since
        )

    def _tally(self, now: int, job_type: str) -> Tally:
        key = (now - now % MINUTE, job_type)
        tally = self.tallies.get(key)
        if tally is None:
            tally = self.tallies[key] = Tally()
            _trim(self.tallies, now - DAY - MINUTE, MOST_TALLIES)
        return tally

    def _error(self, record: JobRecord, kind: str, message: str, now: int) -> None:
        key = (now - now % HOUR, record.job_type, kind[:128])
        if key not in self.errors and self._kinds_of(key[0]) >= MOST_KINDS:
            key = (*key[:2], OTHER)
        known = self.errors.get(key)
        count = known.count + 1 if known else 1
        self.errors[key] = ErrorTally(count, message[:_MESSAGE_LENGTH], record.id, now)
        if known is None:
            _trim(self.errors, now - DAY - HOUR, MOST_ERRORS)

    def _kinds_of(self, hour: int) -> int:
        """Return how many kinds of errors the present hour has."""
        return sum(1 for _ in takewhile(lambda key: key[0] == hour, reversed(self.errors)))


def _trim(tallies: OrderedDict[Any, Any], before: int, most: int) -> None:
    """Drop tallies, oldest first, that began ``before`` an instant or are more than ``most``."""
    while tallies and (len(tallies) > most or next(iter(tallies))[0] < before):
        tallies.popitem(last=False)


def error_groups(tallies: Any) -> list[ErrorGroup]:
    """Return ``(job_type, error type, ErrorTally)`` rows as one group per job type and error type."""
    groups: dict[tuple[str, str], ErrorTally] = {}
    for job_type, kind, tally in tallies:
        known = groups.get((job_type, kind))
        latest = tally if known is None or tally.last_at >= known.last_at else known
        count = tally.count + (known.count if known else 0)
        groups[job_type, kind] = ErrorTally(count, latest.last_message, latest.last_job_id, latest.last_at)
    found = [
        ErrorGroup(
            job_type=job_type,
            type=kind,
            count=tally.count,
            last_message=tally.last_message,
            last_job_id=tally.last_job_id,
            last_at=instant(tally.last_at),
        )
        for (job_type, kind), tally in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.job_type, group.type))


def bucket(millis: int) -> int:
    """Return the bucket of a duration."""
    return int(math.log2(max(0, millis) + 1) * _STEPS_PER_DOUBLING)


def quantile(buckets: Counter[int], share: float) -> float | None:
    """Return the duration in seconds below which ``share`` of the counted ones lie, None without any."""
    left = sum(buckets.values()) * share
    if not left:
        return None
    for index in sorted(buckets):
        left -= buckets[index]
        if left <= 0:
            break
    return round((2 ** ((index + 0.5) / _STEPS_PER_DOUBLING) - 1) / 1000, 4)
