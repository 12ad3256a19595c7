"""Many new jobs in one step."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from starlette.responses import Response

from jdobb_async_queue import DuplicateJob, JobExists, NewJob, PayloadTooLarge, QueueFull, Submission
from jdobb_service import examples
from jdobb_service.answers import JsonResponse, job_json
from jdobb_service.body import check_media_type, read_body
from jdobb_service.conflicts import located
from jdobb_service.new_jobs import explained, new_job
from jdobb_service.operations import Body, Call, Resource, Success, operation
from jdobb_service.problems import Problem, invalid, pointer, within
from jdobb_service.schemas import jobs as wire
from jdobb_service.schemas.batch import Jobs, NewJobs
from jdobb_service.security import not_for_type
from jdobb_service.strict_json import checked, decode

resource = Resource("jobs")

_ITEM = re.compile(r"jobs\[([0-9]+)\]\.(.+)", re.DOTALL)


@operation(
    resource,
    "POST",
    "/jobs/batch",
    scope="enqueue",
    body=Body(NewJobs, {"two": {"jobs": [examples.NEW_JOB, {"job_type": "report", "delay": 60}]}}),
    success=[
        Success(
            201,
            "All jobs are stored: new ones, and existing ones that they met.",
            Jobs,
            example={"items": [examples.JOB]},
        )
    ],
    problems=[
        "invalid-idempotency-key",
        "job-exists",
        "duplicate-job",
        "unknown-job-type",
        "queue-full",
    ],
)
async def submit_batch(call: Call) -> Response:
    """Enqueue up to 1,000 jobs in one step, all or none.

    A later job meets an earlier one as if that were stored already. The body may have 8 MiB. To repeat a
    batch safely, give its jobs ids of their own: `Idempotency-Key` is for single jobs and refused here.
    """
    if b"idempotency-key" in call.headers:
        detail = "A batch takes no Idempotency-Key; give its jobs ids to repeat it safely."
        raise Problem("invalid-idempotency-key", detail)
    check_media_type(call)
    raw = await read_body(call.receive)
    jobs = await asyncio.to_thread(_parsed, raw)  # beside the event loop: megabytes take their time
    _check_allowed(call, jobs)
    for index, job in enumerate(jobs):
        await _check_type(call, index, job)
    submissions = await _submit(call, jobs)
    for submission in submissions:
        call.state.metrics.stored(submission)
    return JsonResponse(_items(call, submissions), 201, {"cache-control": "private, no-cache"})


def _parsed(raw: bytes) -> list[wire.NewJob]:
    return checked(NewJobs, decode(raw)).jobs


def _check_allowed(call: Call, jobs: Iterable[wire.NewJob]) -> None:
    detail = "The API key is not for this job type."
    places = [
        {"pointer": pointer("jobs", index, "job_type"), "detail": detail}
        for index, job in enumerate(jobs)
        if not call.caller.covers(job.job_type)
    ]
    if places:
        raise not_for_type(places[:50])


async def _check_type(call: Call, index: int, job: wire.NewJob) -> None:
    try:
        await call.state.job_types.check(job.job_type, job.data)
    except Problem as problem:
        step = ("job_type",) if problem.code == "unknown-job-type" else ()
        raise within(problem, "jobs", index, *step) from None


async def _submit(call: Call, jobs: list[wire.NewJob]) -> list[Submission]:
    try:
        return await call.queue.submit_many(_new_jobs(call, jobs))
    except (JobExists, DuplicateJob, QueueFull) as error:
        raise await located(call.queue, jobs, error) from error
    except PayloadTooLarge:
        raise
    except (ValueError, TypeError) as error:
        raise _explained(jobs, str(error)) from error


def _new_jobs(call: Call, jobs: Iterable[wire.NewJob]) -> list[NewJob]:
    return [new_job(call, job) for job in jobs]


def _explained(jobs: list[wire.NewJob], message: str) -> Problem:
    """Return the 422 of what the library refused: it names the job and its field."""
    found = _ITEM.fullmatch(message)
    if found is None:
        return invalid("#", "not acceptable")
    index = int(found[1])
    problem = explained(jobs[index], found[2]) or invalid("#", "not acceptable")
    return within(problem, "jobs", index)


def _items(call: Call, submissions: Iterable[Submission]) -> bytes:
    jobs = (job_json(call, submission.job) for submission in submissions)
    return b'{"items":[' + b",".join(jobs) + b"]}"
