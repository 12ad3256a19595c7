"""Workers: who runs jobs, and telling them to stop."""

from __future__ import annotations

from starlette.responses import Response

from jdobb_async_queue import WorkerInfo
from jdobb_service import examples
from jdobb_service.answers import json_response
from jdobb_service.operations import NAME, Call, Resource, Success, operation
from jdobb_service.problems import Problem
from jdobb_service.schemas import workers as wire

resource = Resource("workers")


def _told(directive: str) -> list[Success]:
    example = {**examples.WORKER, "directive": directive}
    return [Success(200, "The worker is told.", WorkerInfo, example=example)]


@operation(
    resource,
    "GET",
    "/workers",
    scope="read",
    success=[Success(200, "The workers.", wire.WorkerList, example={"items": [examples.WORKER]})],
)
async def list_workers(call: Call) -> Response:
    """List the workers of all processes, latest started first.

    A worker that ends in good order leaves the list; one without a heartbeat for a minute is `stale`.
    """
    return json_response({"items": await _visible(call)})


@operation(
    resource,
    "POST",
    "/workers/{id}/quiet",
    scope="admin",
    success=_told("quiet"),
    problems=["worker-not-found"],
)
async def quiet_worker(call: Call) -> Response:
    """Let a worker take no new jobs; running ones go on.

    It learns of it within a second or at its next heartbeat.
    """
    return await _direct(call, "quiet")


@operation(
    resource,
    "POST",
    "/workers/{id}/stop",
    scope="admin",
    success=_told("stop"),
    problems=["worker-not-found"],
)
async def stop_worker(call: Call) -> Response:
    """Let a worker end: no new jobs, and running ones may finish within its grace.

    It learns of it within a second or at its next heartbeat. The process that it runs in goes on.
    """
    return await _direct(call, "stop")


async def _direct(call: Call, directive: str) -> Response:
    worker_id = call.scope["path_params"]["id"]
    worker = await call.queue.worker(worker_id) if NAME.fullmatch(worker_id) else None
    if worker is None or not _is_visible(call, worker):
        raise Problem("worker-not-found")
    if not all(map(call.caller.covers, worker.job_types)):
        raise Problem("insufficient-scope", "The API key is not for all job types of this worker.")
    if not await call.queue.signal_worker(worker_id, directive):
        raise Problem("worker-not-found")
    return json_response(worker.model_copy(update={"directive": directive}))


async def _visible(call: Call) -> list[WorkerInfo]:
    """Return the workers as the caller may see them: with the job types and the jobs that it is for."""
    workers = [worker for worker in await call.queue.workers() if _is_visible(call, worker)]
    if not call.caller.limited:
        return workers
    held = [job_id for worker in workers for job_id in (*worker.jobs, *worker.stopping)]
    jobs = await call.queue.get_many(held)
    shown = {job.id for job in jobs if job is not None and call.caller.covers(job.job_type)}
    return [
        worker.model_copy(
            update={
                "job_types": [name for name in worker.job_types if call.caller.covers(name)],
                "jobs": [job_id for job_id in worker.jobs if job_id in shown],
                "stopping": [job_id for job_id in worker.stopping if job_id in shown],
            }
        )
        for worker in workers
    ]


def _is_visible(call: Call, worker: WorkerInfo) -> bool:
    return not call.caller.limited or any(map(call.caller.covers, worker.job_types))
