"""One action on many jobs, in bounded steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from jdobb_async_queue import Job, JobQueue, JobStatus, Outcome
from jdobb_service.answers import json_response
from jdobb_service.body import read_json
from jdobb_service.operations import Body, Call, Resource, Success, operation
from jdobb_service.problems import invalid
from jdobb_service.schemas.bulk import BulkChange, BulkFilter, BulkRefusal, BulkResult
from jdobb_service.schemas.jobs import MAX_PAGE
from jdobb_service.security import lacking
from jdobb_service.strict_json import checked
from jdobb_service.visibility import visible_types

resource = Resource("jobs")

_STEP = 1000
"""Jobs that one call tries to change, at most."""
_PAGES = 50
"""Pages that one call looks at, at most: a filter may find little on each."""
_AT_ONCE = 50
_RESULT = {
    "matched": 2,
    "done": 1,
    "failed": [{"id": "order-19", "code": "job-not-found"}],
    "more": False,
}

_ENDED = frozenset({JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class _Action:
    """What is done to each job: who may do it, to which statuses, by what, and what a refusal is called."""

    scope: str
    statuses: frozenset[JobStatus]
    change: Callable[[JobQueue, str], Awaitable[tuple[Outcome, Job | None]]]
    refusal: str
    repeated: JobStatus | None = None
    """The status in which nothing is left to do."""
    ends: bool = False
    """It moves jobs to a final status."""

    def code(self, outcome: Outcome, job: Job | None) -> str | None:
        """Return the code of the problem, None when the job is as it was wanted."""
        if outcome is Outcome.OK or (job is not None and job.status is self.repeated):
            return None
        if outcome is Outcome.UNKNOWN:
            return "job-not-found"
        return "duplicate-job" if outcome is Outcome.CONFLICT else self.refusal

    def expected(self, job: Job) -> str | None:
        """Return the code that the job's status would lead to."""
        takes = job.status in self.statuses or job.status is self.repeated
        return None if takes else self.refusal


_ACTIONS = {
    "cancel": _Action(
        "cancel",
        frozenset({JobStatus.PENDING, JobStatus.PROCESSING}),
        JobQueue.try_cancel,
        "job-terminal",
        repeated=JobStatus.CANCELLED,
        ends=True,
    ),
    "retry": _Action(
        "enqueue",
        frozenset({JobStatus.FAILED, JobStatus.CANCELLED}),
        JobQueue.try_retry,
        "invalid-transition",
    ),
    "delete": _Action("admin", _ENDED, JobQueue.try_delete, "not-terminal"),
}


@operation(
    resource,
    "POST",
    "/jobs/bulk",
    scope=("cancel", "enqueue", "admin"),
    body=Body(
        BulkChange,
        {
            "filter": {"action": "retry", "filter": {"status": "failed", "job_type": ["mail"]}},
            "ids": {"action": "cancel", "ids": ["order-18", "order-19"], "dry_run": True},
        },
    ),
    success=[Success(200, "What became of the jobs.", BulkResult, example=_RESULT)],
)
async def change_jobs(call: Call) -> Response:
    """Cancel, retry or delete many jobs, by a filter or by their ids.

    `cancel` needs the scope `cancel`, `retry` the scope `enqueue`, `delete` the scope `admin`. A filter finds
    only jobs whose status allows the action. One call works on 1,000 jobs at most; each is changed by itself.
    """
    body = checked(BulkChange, await read_json(call))
    action = _ACTIONS[body.action]
    if not call.caller.may(action.scope):
        raise lacking(action.scope)
    if body.filter is None:
        found = await _by_ids(call, action, body)
    else:
        found = await _by_filter(call, action, body, body.filter)
    return json_response(found)


async def _by_ids(call: Call, action: _Action, body: BulkChange) -> BulkResult:
    ids = list(dict.fromkeys(body.ids or ()))
    stored = await call.queue.get_many(ids)
    jobs = [job for job in stored if job is not None and call.caller.covers(job.job_type)]
    known = {job.id for job in jobs}
    unknown = [BulkRefusal(id=job_id, code="job-not-found") for job_id in ids if job_id not in known]
    tally = _Tally(call, action, dry_run=body.dry_run)
    await tally.take(jobs)
    return tally.result(before=unknown)


async def _by_filter(call: Call, action: _Action, body: BulkChange, wanted: BulkFilter) -> BulkResult:
    if wanted.metadata is not None and not call.caller.may("read"):
        raise lacking("read")
    asked = action.statuses if wanted.status is None else map(JobStatus, wanted.status)
    statuses = sorted(action.statuses.intersection(asked))
    if not statuses:
        raise invalid("#/filter/status", "no job with this status allows the action")
    job_types = await visible_types(call, wanted.job_type)
    tally = _Tally(call, action, dry_run=body.dry_run)
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await call.queue.list_jobs(
            statuses,
            job_types,
            wanted.created_after,
            wanted.created_before,
            wanted.metadata,
            min(MAX_PAGE, _STEP - tally.matched),
            cursor,
        )
        await tally.take(page.items)
        cursor = page.next_cursor
        if cursor is None or tally.interrupted or tally.matched >= _STEP:
            break
    return tally.result(more=cursor is not None)


class _Tally:
    """Changes jobs, some at once, and counts what became of them."""

    def __init__(self, call: Call, action: _Action, *, dry_run: bool) -> None:
        self._call, self._action, self._dry_run = call, action, dry_run
        self.matched, self._done = 0, 0
        self._failed: list[BulkRefusal] = []
        self.interrupted = False
        """The process is going down, so the rest was left as it is."""

    async def take(self, jobs: Sequence[Job]) -> None:
        """Change these jobs, or only tell which could be."""
        for start in range(0, len(jobs), _AT_ONCE):
            if self._call.state.closing.is_set:
                self.interrupted = True
                return
            part = jobs[start : start + _AT_ONCE]
            codes = await asyncio.gather(*map(self._change, part))
            self.matched += len(part)
            refused = [(job.id, code) for job, code in zip(part, codes, strict=True) if code is not None]
            self._failed += [BulkRefusal(id=job_id, code=code) for job_id, code in refused]
            self._done += 0 if self._dry_run else len(part) - len(refused)

    def result(self, *, before: Sequence[BulkRefusal] = (), more: bool = False) -> BulkResult:
        """Return the answer; ``before`` are jobs that were not even found."""
        return BulkResult(
            matched=self.matched,
            done=self._done,
            failed=[*before, *self._failed],
            more=more or self.interrupted,
        )

    async def _change(self, job: Job) -> str | None:
        if self._dry_run:
            return self._action.expected(job)
        outcome, changed = await self._action.change(self._call.queue, job.id)
        if self._action.ends and changed is not None:
            self._call.state.metrics.settled(outcome, changed)
        return self._action.code(outcome, changed)
