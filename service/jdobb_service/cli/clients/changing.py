"""One action on the jobs of a filter, in a store; in the same steps as the service's ``POST /jobs/bulk``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jdobb_async_queue import Job, JobQueue, JobStatus, Outcome
from jdobb_service.cli.clients.base import JobFilter
from jdobb_service.schemas.bulk import Action, BulkRefusal, BulkResult

STEP = 1000
"""Jobs that one call changes, at most."""
_PAGE = 200


@dataclass(frozen=True, slots=True)
class _Change:
    """What is done to a job, in which statuses it can be, and the code of its refusal."""

    apply: Callable[[JobQueue, str], Awaitable[tuple[Outcome, Job | None]]]
    statuses: frozenset[JobStatus]
    refusal: str


_CHANGES: dict[Action, _Change] = {
    "cancel": _Change(
        JobQueue.try_cancel, frozenset({JobStatus.PENDING, JobStatus.PROCESSING}), "job-terminal"
    ),
    "retry": _Change(
        JobQueue.try_retry, frozenset({JobStatus.FAILED, JobStatus.CANCELLED}), "invalid-transition"
    ),
    "delete": _Change(
        JobQueue.try_delete,
        frozenset({JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED}),
        "not-terminal",
    ),
}


async def change(queue: JobQueue, action: Action, wanted: JobFilter, *, dry_run: bool) -> BulkResult:
    """Change the jobs that the filter finds, up to ``STEP`` of them; each by itself.

    Raises ``ValueError`` when no job that the filter finds could be changed.
    """
    change = _CHANGES[action]
    statuses = sorted(change.statuses.intersection(map(JobStatus, wanted.statuses or change.statuses)))
    if not statuses:
        message = f"no job with the status {' or '.join(wanted.statuses)} allows to {action} it"
        raise ValueError(message)
    matched, cursor = 0, None
    failed: list[BulkRefusal] = []
    while matched < STEP:
        page = await queue.list_jobs(
            statuses,
            wanted.job_types or None,
            wanted.created_after,
            wanted.created_before,
            wanted.metadata,
            min(_PAGE, STEP - matched),
            cursor,
        )
        matched += len(page.items)
        if not dry_run:
            failed += [refusal for job in page.items if (refusal := await _apply(queue, change, job.id))]
        cursor = page.next_cursor
        if cursor is None:
            break
    done = 0 if dry_run else matched - len(failed)
    return BulkResult(matched=matched, done=done, failed=failed, more=cursor is not None)


async def _apply(queue: JobQueue, change: _Change, job_id: str) -> BulkRefusal | None:
    outcome, _ = await change.apply(queue, job_id)
    if outcome is Outcome.OK:
        return None
    codes = {Outcome.UNKNOWN: "job-not-found", Outcome.CONFLICT: "duplicate-job"}
    return BulkRefusal(id=job_id, code=codes.get(outcome, change.refusal))
