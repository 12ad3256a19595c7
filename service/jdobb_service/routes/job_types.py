"""Job types: look at them, set them, pause and resume them."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.responses import Response

from jdobb_async_queue import JobTypeInfo
from jdobb_service import examples, figures
from jdobb_service.answers import json_response
from jdobb_service.body import read_json
from jdobb_service.operations import NAME, Body, Call, Resource, Success, operation
from jdobb_service.problems import Problem, invalid, refused
from jdobb_service.schemas import job_types as wire
from jdobb_service.security import not_for_type
from jdobb_service.strict_json import check_values, checked

resource = Resource("job types")

_FIELDS = frozenset({"retry", "timeout", "max_lost", "max_pending", "schema", "reason", "until"})


@operation(
    resource,
    "GET",
    "/job-types",
    scope="read",
    success=[Success(200, "The job types.", wire.JobTypeList, example={"items": [examples.JOB_TYPE]})],
)
async def list_job_types(call: Call) -> Response:
    """List the job types that have settings or jobs, by name: settings in force, pause, figures, schema."""
    found = await figures.job_types(call.queue, call.caller.covers)
    return json_response({"items": [call.state.job_types.described(each) for each in found]})


@operation(
    resource,
    "PUT",
    "/job-types/{job_type}",
    scope="admin",
    body=Body(wire.JobTypeSettings, {"all": examples.JOB_TYPE_SETTINGS}),
    success=[
        Success(
            200, "The settings are in force, for jobs that wait too.", wire.JobType, example=examples.JOB_TYPE
        )
    ],
    problems=["job-type-not-found"],
)
async def set_job_type(call: Call) -> Response:
    """Put an operator's settings of a job type, in place of the ones before; creates the type.

    They win over what handlers say of themselves, save the schema of the payload.
    """
    job_type = _job_type(call)
    body = checked(wire.JobTypeSettings, await read_json(call))
    settings = {name: getattr(body, name) for name in body.model_fields_set}
    schema = settings.pop("payload_schema", None)
    if schema is not None:
        check_values(schema, "schema")
        await call.state.job_types.check_schema(schema)
    if body.retry is not None:
        settings["retry"] = body.retry.as_given()
    return await _changed(call, call.queue.set_job_type(job_type, **settings, schema=schema))


@operation(
    resource,
    "POST",
    "/job-types/{job_type}/pause",
    scope="admin",
    body=Body(wire.Pause, {"until": examples.PAUSE}, required=False),
    success=[
        Success(
            200, "No job of the type is started from now on.", wire.JobType, example=examples.PAUSED_JOB_TYPE
        )
    ],
    problems=["job-type-not-found"],
)
async def pause_job_type(call: Call) -> Response:
    """Start no more jobs of a type, in any process; creates the type.

    Running jobs go on, new ones are taken. Pausing again replaces reason and end.
    """
    job_type = _job_type(call)
    body = checked(wire.Pause, await read_json(call, optional=True))
    return await _changed(call, call.queue.pause(job_type, until=body.until, reason=body.reason))


@operation(
    resource,
    "POST",
    "/job-types/{job_type}/resume",
    scope="admin",
    success=[Success(200, "Jobs of the type are started again.", wire.JobType, example=examples.JOB_TYPE)],
    problems=["job-type-not-found"],
)
async def resume_job_type(call: Call) -> Response:
    """Start jobs of a type again; one that is not paused stays as it is."""
    job_type = _job_type(call)
    if not any(known.job_type == job_type for known in await call.queue.job_types()):
        raise Problem("job-type-not-found")
    return await _changed(call, call.queue.resume(job_type))


def _job_type(call: Call) -> str:
    """Return the job type in the path. Raises ``Problem``: job-type-not-found, insufficient-scope."""
    job_type: str = call.scope["path_params"]["job_type"]
    if NAME.fullmatch(job_type) is None:
        raise Problem("job-type-not-found")
    if not call.caller.covers(job_type):
        raise not_for_type()
    return job_type


async def _changed(call: Call, change: Awaitable[JobTypeInfo]) -> Response:
    """Make a change and show the job type. Raises the 422 of what the library refuses."""
    try:
        info = await change
    except (ValueError, TypeError) as error:
        raise refused(str(error), _FIELDS) or invalid("#", "not acceptable") from error
    call.state.job_types.changed()
    found = await figures.job_type(call.queue, info)
    return json_response(call.state.job_types.described(found))
