"""Watching jobs live."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from jdobb_service import sse
from jdobb_service.operations import SCHEMAS, Call, Resource, Success, header, operation, query
from jdobb_service.routes.jobs import visible_job
from jdobb_service.sse import EventStream, last_event_id

resource = Resource("events")

STREAM: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "One server-sent event, as parsers hand it over.",
            "required": ["data"],
            "properties": {
                "id": {
                    "type": "string",
                    "description": "The update's seq; opaque with several jobs; none with job types and with "
                    "`server.shutdown`.",
                },
                "event": {
                    "type": "string",
                    "enum": ["message", "gap", "end", "server.shutdown"],
                    "default": "message",
                    "description": "`message` (unnamed): an update. `gap`: older updates are gone, this "
                    "is the job now. `end`: nothing can follow. `server.shutdown`: connect again.",
                },
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {
                        "anyOf": [
                            {"$ref": SCHEMAS + "JobUpdate"},
                            {"$ref": SCHEMAS + "StreamEnd"},
                            {"$ref": SCHEMAS + "FeedGap"},
                            {"$ref": SCHEMAS + "ServerShutdown"},
                        ]
                    },
                },
            },
        }
    }
}


@operation(
    resource,
    "GET",
    "/jobs/{id}/events",
    scope="read",
    signed=True,
    parameters=[
        header("Last-Event-ID", {"type": "string"}, "Go on after this event; wins over the query."),
        query("last_event_id", {"type": "string"}, "The same, for a first connect."),
    ],
    success=[
        Success(200, "A stream that ends with the job.", content=STREAM),
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
        return Response(status_code=204, headers={"cache-control": "no-store"})
    return EventStream(call, sse.job_events(call, first, after))
