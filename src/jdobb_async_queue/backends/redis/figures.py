"""Figures as the scripts keep them, and as users see them; see ``lua/figures.lua``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.history import ErrorTally, Tally, error_groups
from jdobb_async_queue.models import JobTypeStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jdobb_async_queue.models import ErrorGroup, HistoryPoint

Hash = tuple[bytes, "Sequence[bytes]"]
"""An instant and the flat hash that belongs to it."""


_ESCAPED = {"0": "\0", "e": ""}


def kind_in_field(kind: str) -> str:
    """Return a kind of error as a field has it: without NUL, which parts a field, and never empty."""
    return kind.replace("\\", "\\\\").replace("\0", "\\0") or "\\e"


def _kind_of(escaped: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), escaped)


def stats(row: Sequence[bytes], now: int) -> JobTypeStats:
    """Return a job type's row of ``figures``, as in ``lua/read.lua``."""
    pending, running, due = int(row[1]), int(row[2]), int(row[6])
    age = (now - int(row[7])) / 1000 if row[7] else None
    return JobTypeStats(ready=due, running=running, delayed=pending - due, oldest_ready_age=age)


def points(hashes: Iterable[Hash]) -> list[HistoryPoint]:
    """Return the minutes, oldest first."""
    tallies: dict[tuple[int, str], Tally] = {}
    for instant, flat in hashes:
        for field, count in _pairs(flat):
            job_type, figure, bucket = field.decode().split("|")
            tally = tallies.setdefault((int(instant), job_type), Tally())
            counter = {"wait": tally.waits, "run": tally.runs}.get(figure)
            if counter is None:
                tally.figures[figure] = int(count)
            else:
                counter[int(bucket)] = int(count)
    ordered = sorted(tallies.items(), key=lambda item: item[0])
    return [tally.point(minute, job_type) for (minute, job_type), tally in ordered]


def errors(hashes: Iterable[Hash]) -> list[ErrorGroup]:
    """Return the errors by job type and error type, most frequent first."""
    return error_groups(row for _, flat in hashes for row in _error_rows(dict(_pairs(flat))))


def _error_rows(found: dict[bytes, bytes]) -> Iterator[tuple[str, str, ErrorTally]]:
    for field, value in found.items():
        if field.endswith(b"\0"):
            continue
        job_type, kind = field.decode().split("\0", 1)
        at, job_id, message = found[field + b"\0"].decode().split("|", 2)
        yield job_type, _kind_of(kind), ErrorTally(int(value), message, job_id, int(at))


def _pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    pairs = iter(flat)
    return zip(pairs, pairs, strict=True)
