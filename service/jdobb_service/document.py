"""The OpenAPI document: what FastAPI collects from the operations, and what only we know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.routing import BaseRoute

from jdobb_async_queue import JobUpdate
from jdobb_service.operations import SCHEMAS, Resource
from jdobb_service.schemas import access, batch, bulk, events, job_types, jobs, problems, worker

VERSION = "0.1.0"
TITLE = "jdobb"
DESCRIPTION = """\
An async job queue over HTTP.

Instants are RFC 3339 in UTC, durations seconds, names as in the Python library. Within a major version fields
and operations are only added: ignore what you do not know. Every answer carries `X-Request-Id`; errors are
problem details (RFC 9457), told apart by `code`."""

_REQUESTS: tuple[type[BaseModel], ...] = (
    jobs.NewJob,
    jobs.Cancellation,
    batch.NewJobs,
    bulk.BulkChange,
    access.NewEventToken,
    job_types.JobTypeSettings,
    job_types.Pause,
    worker.Claim,
    worker.Heartbeat,
    worker.Progress,
    worker.Completion,
    worker.Failure,
    worker.Release,
)
_ANSWERS: tuple[type[BaseModel], ...] = (
    problems.Problem,
    JobUpdate,
    events.StreamEnd,
    events.FeedGap,
    events.ServerShutdown,
)


def describe(resources: Iterable[Resource], routes: Sequence[BaseRoute] = ()) -> dict[str, Any]:
    """Return the document of these operations, and of FastAPI routes that were added to them.

    It does not depend on settings or handlers.
    """
    documented = [route for resource in resources for route in resource.documented.routes]
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        openapi_version="3.1.0",
        routes=[*documented, *routes],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas |= _schemas(_REQUESTS, "validation") | _schemas(_ANSWERS, "serialization")
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key. Beside each operation stands the scope that it needs; `admin` "
            "includes all. A service without keys answers on loopback without one.",
        }
    }
    return document


def _schemas(models: tuple[type[BaseModel], ...], mode: JsonSchemaMode) -> dict[str, Any]:
    _, found = models_json_schema([(model, mode) for model in models], ref_template=SCHEMAS + "{model}")
    schemas: dict[str, Any] = found["$defs"]
    return schemas
