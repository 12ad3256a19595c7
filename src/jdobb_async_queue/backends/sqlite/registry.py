"""The settings of job types and the registry of workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.sqlite import rows

if TYPE_CHECKING:
    from jdobb_async_queue.backends.sqlite.transaction import Transaction
    from jdobb_async_queue.records import TypeRecord, WorkerBeat, WorkerRecord


def job_types(transaction: Transaction) -> dict[str, TypeRecord]:
    """Return the settings of every job type that has any."""
    found = (rows.to_type(row) for row in transaction.all("job_types", transaction.ns))
    return {settings.job_type: settings for settings in found}


def set_job_type(
    transaction: Transaction, job_type: str, operator: bytes | None, published: bytes | None
) -> TypeRecord:
    """Replace a job type's settings; None leaves them as they are."""
    known = transaction.type(job_type)
    operator = known.operator if operator is None else operator
    published = known.published if published is None else published
    return transaction.put_type(replace(known, operator=operator, published=published))


def pause(transaction: Transaction, job_type: str, until: int | None, reason: str | None) -> TypeRecord:
    """Stop claims of this type."""
    known = transaction.type(job_type)
    transaction.touched.types.add(job_type)
    return transaction.put_type(replace(known, paused=True, pause_reason=reason, pause_until=until))


def resume(transaction: Transaction, job_type: str) -> TypeRecord:
    """Allow claims of this type again."""
    known = transaction.type(job_type)
    if not known.paused:
        return known
    transaction.touched.types.add(job_type)
    return transaction.put_type(replace(known, paused=False, pause_reason=None, pause_until=None))


def beat(transaction: Transaction, said: WorkerBeat) -> str:
    """Refresh a worker's entry and return its directive."""
    entry = said.onto(worker(transaction, said.id), transaction.now)
    transaction.write("put_worker", *rows.from_worker(transaction.ns, entry))
    return entry.directive


def worker(transaction: Transaction, worker_id: str) -> WorkerRecord | None:
    """Return a registered worker."""
    row = transaction.one("worker", transaction.ns, worker_id)
    return None if row is None else rows.to_worker(row)


def workers(transaction: Transaction) -> list[WorkerRecord]:
    """Return the registered workers, latest started first."""
    return [rows.to_worker(row) for row in transaction.all("workers", transaction.ns)]


def signal(transaction: Transaction, worker_id: str, directive: str) -> bool:
    """Set a worker's directive and wake it."""
    found = transaction.write("set_directive", directive, transaction.ns, worker_id).rowcount > 0
    transaction.touched.cancelled = transaction.touched.cancelled or found
    return found


def remove(transaction: Transaction, worker_id: str) -> None:
    """Forget a worker."""
    transaction.write("remove_worker", transaction.ns, worker_id)
