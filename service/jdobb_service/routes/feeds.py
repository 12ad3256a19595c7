"""Watching many jobs on one stream."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from jdobb_service.answers import no_content
from jdobb_service.feeds import Jobs, type_events
from jdobb_service.operations import Call, Resource, Success, operation, query
from jdobb_service.parameters import LAST_EVENT_ID, checked_name, unknown
from jdobb_service.problems import invalid, parameter
from jdobb_service.security import not_for_type
from jdobb_service.sse import STREAM, EventStream

resource = Resource("events")

MOST = 100
_PARAMETERS = frozenset({"job", "job_type", "last_event_id", "sig"})


@operation(
    resource,
    "GET",
    "/events",
    scope="read",
    signed=True,
    parameters=[
        query(
            "job",
            {"type": "array", "items": {"type": "string"}, "maxItems": MOST},
            "These jobs, from where the last event id says.",
        ),
        query(
            "job_type",
            {"type": "array", "items": {"type": "string"}, "maxItems": MOST},
            "Instead of `job`: every job of these types, from now on.",
        ),
        *LAST_EVENT_ID,
    ],
    success=[
        Success(
            200,
            "One stream for all; with `job`, it closes when all have ended.",
            headers=("X-Accel-Buffering",),
            content=STREAM,
        ),
        Success(204, "Nothing can follow the event that was seen last: do not connect again."),
    ],
    problems=["validation"],
)
async def many_events(call: Call) -> Response:
    """Watch several jobs, or all of some job types, as server-sent events.

    With `job`: each job as in its own stream, and an `end` for each; the id of an event is opaque and holds
    the place in every job. A job that is unknown or removed has ended. With `job_type`: what is published
    from now on, without ids; each connect begins with a `gap`.
    """
    jobs, job_types = _wanted(call.query.multi_items())
    if job_types:
        if not all(call.caller.covers(job_type) for job_type in job_types):
            raise not_for_type()
        return EventStream(call, type_events(call, job_types))
    watched = await Jobs.of(call, jobs)
    if await watched.have_ended():
        return no_content()
    return EventStream(call, watched.events())


def _wanted(parameters: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    found: dict[str, dict[str, None]] = {"job": {}, "job_type": {}}
    for name, text in parameters:
        if name not in _PARAMETERS:
            raise unknown(name)
        if name in found:
            found[name][checked_name(name, text)] = None
            if len(found[name]) > MOST:
                raise invalid(parameter(name), f"at most {MOST} are watched on one stream")
    jobs, job_types = list(found["job"]), list(found["job_type"])
    if jobs and job_types:
        raise invalid(parameter("job_type"), "give either job or job_type, not both")
    if not jobs and not job_types:
        raise invalid(parameter("job"), "give job or job_type")
    return jobs, job_types
