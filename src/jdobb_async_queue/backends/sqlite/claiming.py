"""Taking jobs out: what is due first, then the best ready ones."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.base import Claimed, LeaseAnswer, Swept
from jdobb_async_queue.lifecycle import expire, rescue
from jdobb_async_queue.models import HIGHEST_FIRST
from jdobb_async_queue.transitions import advance, is_cancelled, start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jdobb_async_queue.backends.base import ClaimRequest, LeaseRef
    from jdobb_async_queue.backends.sqlite.transaction import Transaction
    from jdobb_async_queue.records import JobRecord, Retention

_SWEEP_PER_CLAIM = 100
NOTHING_SWEPT = Swept()


def claim(transaction: Transaction, request: ClaimRequest) -> Claimed:
    """Claim jobs in claim order; see ``QueueBackend.claim_pending_jobs``."""
    if not transaction.swept:
        sweep(transaction, _SWEEP_PER_CLAIM, request.retention)
        transaction.swept = True
    types = _array(_claimable(transaction, request.job_types))
    claimed: list[JobRecord] = []
    now = transaction.now
    wanted = found = request.limit
    while wanted and found == wanted:
        ready = transaction.named("best_ready", ns=transaction.ns, types=types, now=now, limit=wanted)
        found = len(ready)
        for kept in map(transaction.kept, ready):
            old = kept.record
            if old.start_by is not None and old.start_by <= now:
                change = expire(old, request.retention)
                transaction.move(kept, *advance(old, change, now), None)
                continue
            token = f"{request.token}.{len(claimed)}"
            new, update = start(old, token, request.lease, request.worker_id, now)
            claimed.append(transaction.start(kept, new, update))
        wanted = request.limit - len(claimed)
    is_full = len(claimed) == request.limit
    return Claimed(claimed, None if is_full else _next_due(transaction, request.job_types))


def sweep(transaction: Transaction, limit: int, retention: Retention) -> Swept:
    """Rescue and expire what is due; see ``QueueBackend.sweep``."""
    now = transaction.now
    leases = transaction.all("expired_leases", transaction.ns, now, limit)
    for row in leases:
        kept = transaction.kept(row)
        transaction.move(kept, *advance(kept.record, rescue(kept.record, retention), now), None)
    deadlines = transaction.all("missed_deadlines", transaction.ns, now, limit)
    for row in deadlines:
        kept = transaction.kept(row)
        transaction.move(kept, *advance(kept.record, expire(kept.record, retention), now), None)
    return Swept(len(leases), len(deadlines))


def is_anything_due(transaction: Transaction) -> bool:
    """Tell whether a sweep would find something."""
    due = (transaction.ns, transaction.now, 1)
    return bool(transaction.all("expired_leases", *due) or transaction.all("missed_deadlines", *due))


def heartbeat(transaction: Transaction, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
    """Renew or look at leases; see ``QueueBackend.heartbeat``."""
    return [_beat(transaction, ref) for ref in leases]


def _beat(transaction: Transaction, ref: LeaseRef) -> LeaseAnswer:
    row = transaction.one("lease", transaction.ns, ref.job_id)
    if row is None:
        return LeaseAnswer("lost")
    seq, status, settled, token, expires_at, length = row
    if token != ref.token or expires_at is None:
        return LeaseAnswer("cancelled" if is_cancelled(status, settled, ref.token) else "lost")
    if ref.extend:
        expires_at = transaction.now + length
        transaction.write("renew_lease", expires_at, seq)
    return LeaseAnswer("ok", max(0, expires_at - transaction.now))


def _next_due(transaction: Transaction, job_types: tuple[str, ...] | None) -> int | None:
    ns, now = transaction.ns, transaction.now
    due = [row[0] for name in ("next_lease_end", "next_deadline") for row in transaction.all(name, ns)]
    if job_types is None:
        job_types = tuple(row[0] for row in transaction.named("pending_types", ns=ns))
    for job_type in job_types:
        settings = transaction.type(job_type)
        if settings.paused and (settings.pause_until is None or settings.pause_until > now):
            due.append(settings.pause_until)
            continue
        for priority in HIGHEST_FIRST:
            due += [row[0] for row in transaction.all("next_run_at", ns, job_type, priority, now)]
    return min((at for at in due if at is not None), default=None)


def _claimable(transaction: Transaction, job_types: tuple[str, ...] | None) -> tuple[str, ...]:
    paused = transaction.paused()
    if job_types is None:
        job_types = tuple(row[0] for row in transaction.named("pending_types", ns=transaction.ns))
    if not paused:
        return job_types
    return tuple(job_type for job_type in job_types if job_type not in paused)


@lru_cache(maxsize=256)
def _array(job_types: tuple[str, ...]) -> str:
    return json.dumps(list(dict.fromkeys(job_types)))
