"""What a job returned, and nothing else of it."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from jdobb_async_queue import Job, JobStatus
from jdobb_service import examples
from jdobb_service.answers import JsonResponse, is_known, validators
from jdobb_service.operations import Call, Resource, Success, header, operation
from jdobb_service.parameters import PREFER, WAIT
from jdobb_service.problems import Problem
from jdobb_service.visibility import visible_job
from jdobb_service.waiting import applied, later, wanted_wait

resource = Resource("jobs")


@operation(
    resource,
    "GET",
    "/jobs/{id}/result",
    scope="read",
    parameters=[
        header("If-None-Match", {"type": "string"}, "The ETag of the results that are known already."),
        PREFER,
        WAIT,
    ],
    success=[
        Success(
            200,
            "What the handler returned; null when it returned nothing.",
            dict[str, Any] | None,
            ("ETag", "Preference-Applied", "Vary"),
            example=examples.RESULTS,
        ),
        Success(304, "The results are as they were.", None, ("ETag", "Preference-Applied", "Vary")),
    ],
    problems=["job-not-found", "not-finished", "job-failed", "validation", "too-many-waits"],
)
async def get_result(call: Call) -> Response:
    """Take the results of a job, or wait for them.

    The detail of `job-failed` is the job's error.
    """
    job = await visible_job(call)
    seconds = wanted_wait(call)
    headers = {}
    if seconds is not None:
        if not job.status.is_terminal:
            job = await later(call, job, seconds)
        headers = applied(seconds)
    if job.status is JobStatus.COMPLETE:
        if is_known(job, call.header(b"if-none-match")):
            return Response(status_code=304, headers=validators(job) | headers)
        return JsonResponse(to_json(job.results), 200, validators(job) | headers)
    raise _without_results(job, headers)


def _without_results(job: Job, headers: dict[str, str]) -> Problem:
    """Return why a job has no results: it has not ended, or it ended otherwise."""
    if not job.status.is_terminal:
        again = {"retry-after": validators(job)["retry-after"]}
        return Problem("not-finished", headers=headers | again)
    return Problem("job-failed", job.error or f"The job is {job.status.value}.", headers=headers)
