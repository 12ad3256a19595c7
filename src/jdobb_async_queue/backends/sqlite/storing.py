"""Putting new jobs in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jdobb_async_queue.backends import refusals
from jdobb_async_queue.backends.base import Stored
from jdobb_async_queue.errors import (
    QueueFull,
)
from jdobb_async_queue.lifecycle import millis, same_content
from jdobb_async_queue.records import resolve_settings

if TYPE_CHECKING:
    from jdobb_async_queue.backends.sqlite.transaction import Kept, Transaction
    from jdobb_async_queue.models import Idempotency
    from jdobb_async_queue.records import NewRecord


def store(
    transaction: Transaction, jobs: Sequence[NewRecord], idempotency: Idempotency | None
) -> list[Stored]:
    """Store new jobs, all or none; see ``QueueBackend.store``."""
    if idempotency is not None:
        replay = _replay(transaction, idempotency)
        if replay is not None:
            return [replay]
    stored = [_store_one(transaction, jobs[0])] if len(jobs) == 1 else _store_many(transaction, jobs)
    if idempotency is not None:
        transaction.write(
            "bind_idempotency_key", transaction.ns, idempotency.scope, idempotency.key,
            idempotency.fingerprint, stored[0].record.id, transaction.now + millis(idempotency.keep),
        )  # fmt: skip
    return stored


def _replay(transaction: Transaction, idempotency: Idempotency) -> Stored | None:
    bound = transaction.one(
        "idempotency_key", transaction.ns, idempotency.scope, idempotency.key, transaction.now
    )
    if bound is None:
        return None
    fingerprint, job_id = bound
    if fingerprint != idempotency.fingerprint:
        raise refusals.reused(job_id)
    kept = transaction.job(job_id)
    if kept is None:
        raise refusals.gone(job_id)
    return Stored(kept.record, created=False, replayed=True)


def _store_many(transaction: Transaction, jobs: Sequence[NewRecord]) -> list[Stored]:
    """Store several jobs; what a refused one had before it is taken back."""
    with transaction.savepoint():
        return [_store_one(transaction, new) for new in jobs]


def _store_one(transaction: Transaction, new: NewRecord) -> Stored:
    """Store a job. Whatever it raises, it raises before it has written."""
    if new.own_id:
        known = transaction.job(new.id)
        if known is not None:
            if not same_content(known.record, new):
                raise refusals.exists(new.id)
            return Stored(known.record, created=False)
    if new.unique_key is not None:
        held = transaction.one("key_holder", transaction.ns, new.job_type, new.unique_key)
        kept = None if held is None else transaction.job(held[0])
        if kept is not None:
            return _meet(transaction, kept, new)
    _check_room(transaction, new)
    return Stored(transaction.insert(new.to_record(transaction.now, 0)), created=True)


def _meet(transaction: Transaction, held: Kept, new: NewRecord) -> Stored:
    record = held.record
    if new.on_conflict == "reject":
        raise refusals.duplicate(new.job_type, new.unique_key, record.id)
    if new.on_conflict == "replace" and record.status == "pending":
        record = transaction.replace(new.replaced(record, transaction.now))
    return Stored(record, created=False)


def _check_room(transaction: Transaction, new: NewRecord) -> None:
    settings = transaction.type(new.job_type)
    limit = resolve_settings(None, settings.operator, settings.published).max_pending
    limit = new.max_pending if limit is None else limit
    if limit is not None and transaction.count(new.job_type, "pending") >= limit:
        raise QueueFull(new.job_type, limit)
