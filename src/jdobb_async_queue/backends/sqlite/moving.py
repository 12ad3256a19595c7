"""Applying transitions, and removing what is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jdobb_async_queue.backends.base import Applied
from jdobb_async_queue.backends.history import DAY, HOUR, MINUTE
from jdobb_async_queue.models import TERMINAL, Outcome
from jdobb_async_queue.transitions import advance, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jdobb_async_queue.backends.sqlite.transaction import Kept, Transaction
    from jdobb_async_queue.transitions import Transition


def apply(transaction: Transaction, changes: Sequence[Transition], *, records: bool) -> list[Applied]:
    """Apply guarded transitions; see ``QueueBackend.apply``."""
    known = transaction.jobs({change.job_id for change in changes})
    answers: list[Applied] = []
    for change in changes:
        kept = known.pop(change.job_id, None) or transaction.job(change.job_id)
        answers.append(_apply_one(transaction, kept, change, records=records))
    return answers


def _apply_one(transaction: Transaction, kept: Kept | None, change: Transition, *, records: bool) -> Applied:
    outcome = check(None if kept is None else kept.record, change)
    if kept is None:
        return Applied(outcome, None)
    if outcome is not Outcome.OK:
        return Applied(outcome, kept.record)
    if change.verb == "retry" and _is_key_taken(
        transaction, change, kept.record.job_type, kept.record.unique_key
    ):
        return Applied(Outcome.CONFLICT, kept.record)
    new, update = advance(kept.record, change, transaction.now)
    moved = transaction.move(kept, new, update, change.failure)
    return Applied(outcome, moved if records else None)


def _is_key_taken(
    transaction: Transaction, change: Transition, job_type: str, unique_key: str | None
) -> bool:
    if unique_key is None:
        return False
    holder = transaction.one("key_holder", transaction.ns, job_type, unique_key)
    return holder is not None and holder[0] != change.job_id


def delete(transaction: Transaction, job_ids: Sequence[str]) -> list[Outcome]:
    """Remove terminal jobs; see ``QueueBackend.delete``."""
    return [_delete_one(transaction, job_id) for job_id in job_ids]


def _delete_one(transaction: Transaction, job_id: str) -> Outcome:
    row = transaction.one("removable", transaction.ns, job_id)
    if row is None:
        return Outcome.UNKNOWN
    seq, job_type, status = row
    if status not in TERMINAL:
        return Outcome.TERMINAL
    transaction.remove(seq, job_id, job_type, status)
    return Outcome.OK


def prune(transaction: Transaction, limit: int) -> int:
    """Remove what is past its retention; see ``QueueBackend.prune``."""
    ns, now = transaction.ns, transaction.now
    over = transaction.all("prunable", ns, now, limit)
    for seq, job_id, job_type, status in over:
        transaction.remove(seq, job_id, job_type, status)
    forget(transaction, limit)
    return len(over)


def forget(transaction: Transaction, limit: int) -> None:
    """Remove what is no job and past its time, up to ``limit`` of each kind."""
    ns, now = transaction.ns, transaction.now
    transaction.named("forget_idempotency_keys", ns=ns, now=now, limit=limit)
    transaction.named("forget_tallies", ns=ns, before=now - DAY - MINUTE, limit=limit)
    transaction.named("forget_error_tallies", ns=ns, before=now - DAY - HOUR, limit=limit)
    transaction.write("forget_workers", ns, now - DAY)
    transaction.write("forget_counts", ns)
