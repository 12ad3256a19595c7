"""Whether the process lives, and whether it should be sent requests."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from jdobb_async_queue import JobQueueError
from jdobb_service.answers import json_response
from jdobb_service.operations import Call, Resource, Success, operation
from jdobb_service.problems import Problem
from jdobb_service.schemas.health import BackendState, Liveness, Readiness, WorkerState
from jdobb_service.state import ServiceState

resource = Resource("health")

_PATIENCE = 2.0
_READY = {
    "status": "ready",
    "backend": {"name": "sqlite", "reachable": True, "durability": "full"},
    "worker": {"enabled": True, "running": True, "restarts": 0, "failing": []},
}


@operation(
    resource,
    "GET",
    "/livez",
    scope=None,
    success=[Success(200, "The process answers requests.", Liveness, example={"status": "alive"})],
    problems=["worker-stuck"],
)
async def livez(call: Call) -> Response:
    """Tell whether the process lives: it answers, and no loop of its worker hangs."""
    supervisor = call.state.supervisor
    if supervisor is not None and (stuck := supervisor.stuck):
        raise Problem("worker-stuck", members={"loops": stuck})
    return json_response(Liveness())


@operation(
    resource,
    "GET",
    "/readyz",
    scope=None,
    success=[Success(200, "Send requests.", Readiness, example=_READY)],
    problems=["starting", "draining", "backend-unavailable", "worker-down"],
)
async def readyz(call: Call) -> Response:
    """Tell whether the service is ready: backend, worker, not shutting down.

    A problem carries `backend` and `worker` too.
    """
    state = call.state
    reachable = await _is_reachable(state)
    backend = call.queue.backend
    ready = Readiness(
        backend=BackendState(name=backend.name, reachable=reachable, durability=backend.durability),
        worker=_worker_state(state),
    )
    trouble = _trouble(state, ready)
    if trouble is not None:
        members = ready.model_dump(include={"backend", "worker"})
        raise Problem(trouble, headers={"retry-after": "1"}, members=members)
    return json_response(ready)


def _trouble(state: ServiceState, ready: Readiness) -> str | None:
    if state.closing.is_set:
        return "draining"
    if not state.started:
        return "starting"
    if not ready.backend.reachable:
        return "backend-unavailable"
    supervisor = state.supervisor
    is_down = supervisor is not None and not supervisor.running and not supervisor.has_ended
    return "worker-down" if is_down else None


def _worker_state(state: ServiceState) -> WorkerState:
    supervisor = state.supervisor
    if supervisor is None:
        return WorkerState(enabled=False, running=False, restarts=0, failing=[])
    return WorkerState(
        enabled=True,
        running=supervisor.running,
        restarts=supervisor.restarts,
        failing=supervisor.failing,
    )


async def _is_reachable(state: ServiceState) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await state.queue.counts()
    except (TimeoutError, JobQueueError):
        return False
    return True
