"""Figures for Prometheus."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from jdobb_async_queue import JobQueueError, JobTypeStats
from jdobb_service.document import VERSION
from jdobb_service.metrics import OPENMETRICS, TEXT, Now
from jdobb_service.operations import Call, Resource, Success, header, operation
from jdobb_service.state import ServiceState

resource = Resource("health")

_PATIENCE = 2.0
_EXAMPLE = """\
# HELP jdobb_queue_latency_seconds Age of the oldest ready job, 0 if none is.
# TYPE jdobb_queue_latency_seconds gauge
jdobb_queue_latency_seconds{job_type="mail"} 0.25
"""
_FORMATS = {kind.partition(";")[0]: {"schema": {"type": "string"}, "example": _EXAMPLE + end}
            for kind, end in ((TEXT, ""), (OPENMETRICS, "# EOF\n"))}  # fmt: skip


@operation(
    resource,
    "GET",
    "/metrics",
    scope="read",
    parameters=[header("Accept", {"type": "string"}, "`application/openmetrics-text`, else plain text.")],
    success=[Success(200, "The figures, in the format of Prometheus.", content=_FORMATS)],
)
async def metrics(call: Call) -> Response:
    """Show figures for Prometheus.

    Counters are of this process. While the backend is away, `jdobb_backend_up` is 0 and the queue's own
    gauges are left out.
    """
    state = call.state
    supervisor = state.supervisor
    now = Now(
        version=VERSION,
        backend=call.queue.backend.name,
        queue=await _stats(state),
        streams=state.streams.taken,
        waits=state.waits.taken,
        workers=int(state.runs_jobs),
        restarts=0 if supervisor is None else supervisor.restarts,
    )
    content, media_type = state.metrics.render(
        now, accept=call.header(b"accept") or "", sees=call.caller.covers if call.caller.limited else None
    )
    return Response(content, headers={"content-type": media_type, "cache-control": "no-store"})


async def _stats(state: ServiceState) -> dict[str, JobTypeStats] | None:
    """Return how the queue stands, by the one call to the backend that a scrape makes."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await state.queue.stats()
    except (TimeoutError, JobQueueError):
        state.metrics.backend_failed("metrics")
        return None
