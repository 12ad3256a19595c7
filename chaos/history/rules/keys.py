"""Keys: one job for each idempotency key, one live job for each unique key."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator

from chaos.history.events import STORE, Snapshot
from chaos.history.jobs import History
from chaos.history.rules.violation import Violation


def one_job_for_each_key(history: History) -> Iterator[Violation]:
    """I8: one job for each idempotency key, also where a producer never learnt what it had made."""
    keys = {
        op: event.key for op, events in history.asked.items() for event in events if event.key is not None
    }
    jobs: dict[str, set[str]] = defaultdict(set)
    for job in history.jobs.values():
        is_there = job.is_stored or not history.forgot_some(job)
        for op in job.ops() | {event.op for event in job.acknowledged}:
            if op in keys and is_there:
                jobs[keys[op]].add(job.id)
    for key, known in jobs.items():
        if len(known) > 1:
            yield Violation("I8", f"key {key}", f"stands for {len(known)} jobs: {sorted(known)[:3]}")


def one_live_job_for_each_unique_key(history: History) -> Iterator[Violation]:
    """I8: of each job type and unique key at most one job is live at a time, by the store's clock.

    Where that has jumped, only by what producers and workers knew: one was created before the other can have
    ended.
    """
    holders: dict[tuple[str | None, str], list[Snapshot]] = defaultdict(list)
    for job in history.jobs.values():
        told = job.snapshot
        if told is not None and told.unique_key is not None and not job.possible_retries():
            holders[told.job_type, told.unique_key].append(told)
    for (_, key), jobs in holders.items():
        for one, other in itertools.pairwise(sorted(jobs, key=_created)):
            if _lived_at_once(history, one, other):
                yield Violation("I8", f"unique key {key}", f"{one.job} and {other.job} lived at once")


def _lived_at_once(history: History, one: Snapshot, other: Snapshot) -> bool:
    if not any(history.struck(STORE, -math.inf, math.inf, "clock")):
        return one.completed_ms is None or one.completed_ms > _created(other)
    ended = [event.since for event in history.jobs[one.job].endings()]
    created = [event.at for event in history.jobs[other.job].acknowledged if event.created]
    return bool(ended and created) and created[0] < min(ended)


def _created(told: Snapshot) -> int:
    return told.created_ms or 0
