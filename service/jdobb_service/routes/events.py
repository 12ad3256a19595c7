"""Watching jobs live."""

from __future__ import annotations

from starlette.responses import Response

from jdobb_service import sse
from jdobb_service.answers import no_content
from jdobb_service.operations import Call, Resource, Success, operation
from jdobb_service.parameters import LAST_EVENT_ID
from jdobb_service.sse import STREAM, EventStream, last_event_id
from jdobb_service.visibility import visible_job

resource = Resource("events")


@operation(
    resource,
    "GET",
    "/jobs/{id}/events",
    scope="read",
    signed=True,
    parameters=LAST_EVENT_ID,
    success=[
        Success(200, "A stream that ends with the job.", headers=("X-Accel-Buffering",), content=STREAM),
        Success(204, "Nothing can follow the event that was seen last: do not connect again."),
    ],
    problems=["job-not-found"],
)
async def job_events(call: Call) -> Response:
    """Watch a job as server-sent events.

    A new stream starts with the job as it is now; then every update once and in order, also over
    reconnects with `Last-Event-ID`; then `end`.
    """
    job = await visible_job(call)
    after = last_event_id(call)
    first = await call.state.broadcaster.snapshot(job.id)
    if after is not None and first.status.is_terminal and after >= first.seq:
        return no_content()
    return EventStream(call, sse.job_events(call, first, after))
