"""Removing a job before its retention is over."""

from __future__ import annotations

from starlette.responses import Response

from jdobb_async_queue import Outcome
from jdobb_service.answers import no_content
from jdobb_service.operations import Call, Resource, Success, operation
from jdobb_service.problems import Problem
from jdobb_service.visibility import check_visible

resource = Resource("jobs")


@operation(
    resource,
    "DELETE",
    "/jobs/{id}",
    scope="admin",
    success=[Success(204, "The job is removed.")],
    problems=["job-not-found", "not-terminal"],
)
async def delete_job(call: Call) -> Response:
    """Remove a terminal job with all that belongs to it; its id may be used again."""
    await check_visible(call)
    outcome, _ = await call.queue.try_delete(call.job_id())
    if outcome is Outcome.UNKNOWN:
        raise Problem("job-not-found")
    if outcome is not Outcome.OK:
        raise Problem("not-terminal")
    return no_content()
