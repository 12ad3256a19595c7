"""Looking at jobs: one, many, lists, update logs and figures."""

from __future__ import annotations

import json
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from jdobb_async_queue.backends.base import RecordPage, UpdatePage, first_updates
from jdobb_async_queue.backends.history import HOUR, MINUTE, ErrorTally, Tally, error_groups
from jdobb_async_queue.backends.listing import has_metadata, matches, sort_key
from jdobb_async_queue.backends.sqlite import rows
from jdobb_async_queue.models import HIGHEST_FIRST, JobTypeStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jdobb_async_queue.backends.base import ListQuery
    from jdobb_async_queue.backends.sqlite.transaction import Transaction
    from jdobb_async_queue.models import ErrorGroup, HistoryPoint
    from jdobb_async_queue.records import JobRecord

_LAST = 2**62


class Candidate(NamedTuple):
    """What a list is sorted and filtered by."""

    seq: int
    status: str
    job_type: str
    priority: int
    created_at: int
    run_at: int
    started_at: int | None
    completed_at: int | None
    metadata: bytes = b"{}"


def get(transaction: Transaction, job_ids: Sequence[str]) -> list[JobRecord | None]:
    """Return the jobs with these ids."""
    known = transaction.jobs(set(job_ids))
    found = map(known.get, job_ids)
    return [None if kept is None else kept.record for kept in found]


def read_updates(transaction: Transaction, job_id: str, after: int, limit: int) -> UpdatePage | None:
    """Return a job and its updates after a seq."""
    kept = transaction.job(job_id)
    if kept is None:
        return None
    found = transaction.each("updates_after", kept.record.seq, after, limit)
    return UpdatePage(kept.record, first_updates(map(rows.to_update, found), limit))


# -- lists ---------------------------------------------------------------------------------------------


def list_jobs(transaction: Transaction, query: ListQuery) -> RecordPage:
    """Return a page of jobs; see ``QueueBackend.list_jobs``."""
    plain = replace(query, metadata=())
    found: list[int] = []
    last: tuple[int, ...] | None = None
    more = False
    for examined, candidate in enumerate(_in_order(transaction, query)):
        if len(found) == query.limit or examined == query.examine:
            more = True
            break
        last = sort_key(candidate, query)
        if matches(candidate, plain) and _has_metadata(transaction, candidate.seq, query):
            found.append(candidate.seq)
    return RecordPage(_records(transaction, found), last if more else None)


def _has_metadata(transaction: Transaction, seq: int, query: ListQuery) -> bool:
    if not query.metadata:
        return True
    row = transaction.one("metadata", seq)
    return row is not None and has_metadata(row[0], query.metadata)


def _records(transaction: Transaction, seqs: list[int]) -> list[JobRecord]:
    if not seqs:
        return []
    found = (transaction.kept(row).record for row in transaction.all("jobs_by_seq", json.dumps(seqs)))
    by_seq = {record.seq: record for record in found}
    return [by_seq[seq] for seq in seqs]


def _in_order(transaction: Transaction, query: ListQuery) -> Iterator[Candidate]:
    """Yield the candidates after the cursor; one more than may be examined, so that the end is known."""
    most = query.examine + 1 if _is_filtered(query) else min(query.examine, query.limit) + 1
    if query.status is None:
        found = _newest(transaction, query, most)
    elif query.status == "pending":
        found = _pending(transaction, query, most)
    else:
        found = _latest(transaction, query, query.status, most)
    return islice(found, most)


def _is_filtered(query: ListQuery) -> bool:
    bounds = (query.created_after, query.created_before)
    several_statuses = query.statuses is not None and query.status is None
    return bool(query.metadata) or bounds != (None, None) or several_statuses


def _types(transaction: Transaction, query: ListQuery, status: str) -> list[str]:
    if query.job_types is not None:
        return list(query.job_types)
    return [job_type for (job_type,) in transaction.all("types_with_status", transaction.ns, status)]


def _newest(transaction: Transaction, query: ListQuery, most: int) -> Iterator[Candidate]:
    before = _LAST if query.after is None else -query.after[0]
    ns = transaction.ns
    if query.job_types is None:
        return _candidates(transaction.named("newest", ns=ns, before=before, limit=most))
    streams = [
        _candidates(transaction.named("newest_of_type", ns=ns, job_type=job_type, before=before, limit=most))
        for job_type in query.job_types
    ]
    return merge(*streams, key=lambda candidate: sort_key(candidate, query))


def _pending(transaction: Transaction, query: ListQuery, most: int) -> Iterator[Candidate]:
    rank, run_at, seq = query.after or (-_LAST, -_LAST, -_LAST)
    types = _types(transaction, query, "pending")
    for priority in HIGHEST_FIRST:
        if -priority < rank:
            continue
        begin = (run_at, seq) if -priority == rank else (-_LAST, -_LAST)
        streams = [
            _candidates(
                transaction.named(
                    "pending_in_order",
                    ns=transaction.ns,
                    job_type=job_type,
                    priority=priority,
                    run_at=begin[0],
                    seq=begin[1],
                    limit=most,
                )
            )
            for job_type in types
        ]
        yield from merge(*streams, key=lambda candidate: sort_key(candidate, query))


def _latest(transaction: Transaction, query: ListQuery, status: str, most: int) -> Iterator[Candidate]:
    moved_at, seq = (_LAST, _LAST) if query.after is None else (-query.after[0], -query.after[1])
    streams = [
        _candidates(
            transaction.named(
                "latest_moved",
                ns=transaction.ns,
                status=status,
                job_type=job_type,
                moved_at=moved_at,
                seq=seq,
                limit=most,
            )
        )
        for job_type in _types(transaction, query, status)
    ]
    return merge(*streams, key=lambda candidate: sort_key(candidate, query))


def _candidates(found: Iterable[rows.Row]) -> Iterator[Candidate]:
    return (Candidate(*row) for row in found)


# -- figures -------------------------------------------------------------------------------------------


def counts(transaction: Transaction) -> dict[str, dict[str, int]]:
    """Return how many jobs of each type have each status."""
    found: dict[str, dict[str, int]] = {}
    for job_type, status, n in transaction.all("counts", transaction.ns):
        found.setdefault(job_type, {})[status] = n
    return found


def stats(transaction: Transaction) -> dict[str, JobTypeStats]:
    """Return ready, running, delayed and the oldest ready age, per type with live jobs."""
    found: dict[str, JobTypeStats] = {}
    for job_type, by_status in counts(transaction).items():
        pending, running = by_status.get("pending", 0), by_status.get("processing", 0)
        if pending or running:
            found[job_type] = _type_stats(transaction, job_type, pending, running)
    return found


def _type_stats(transaction: Transaction, job_type: str, pending: int, running: int) -> JobTypeStats:
    now = transaction.now
    ((delayed,),) = transaction.named("delayed", ns=transaction.ns, job_type=job_type, now=now)
    firsts = [
        row[0]
        for priority in HIGHEST_FIRST
        for row in transaction.all("first_run_at", transaction.ns, job_type, priority)
        if row[0] is not None and row[0] <= now
    ]
    age = (now - min(firsts)) / 1000 if firsts else None
    return JobTypeStats(ready=pending - delayed, running=running, delayed=delayed, oldest_ready_age=age)


def history(transaction: Transaction, since: int) -> list[HistoryPoint]:
    """Return the per-minute figures from ``since`` on."""
    tallies: dict[tuple[int, str], Tally] = {}
    for minute, job_type, figure, bucket, n in transaction.all("tallies", transaction.ns, since - MINUTE):
        tally = tallies.setdefault((minute, job_type), Tally())
        if figure == "wait":
            tally.waits[bucket] = n
        elif figure == "run":
            tally.runs[bucket] = n
        else:
            tally.figures[figure] = n
    return [tally.point(minute, job_type) for (minute, job_type), tally in tallies.items()]


def errors(transaction: Transaction, since: int) -> list[ErrorGroup]:
    """Return failed attempts since then, grouped."""
    return error_groups(
        (job_type, kind, ErrorTally(n, message, job_id, at))
        for job_type, kind, n, message, job_id, at in transaction.all(
            "error_tallies", transaction.ns, since - HOUR
        )
    )
