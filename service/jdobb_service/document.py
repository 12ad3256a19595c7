"""The OpenAPI document: what FastAPI collects from the operations, and what only we know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.routing import BaseRoute

from jdobb_async_queue import JobUpdate
from jdobb_service import headers
from jdobb_service.operations import SCHEMAS, Answers, Resource
from jdobb_service.problems import CATALOGUE, MEDIA_TYPE
from jdobb_service.schemas import access, batch, bulk, events, job_types, jobs, problems, worker
from jdobb_service.sessions import COOKIE

VERSION = "0.1.0"
TITLE = "jdobb"
DESCRIPTION = """\
An async job queue over HTTP.

Instants are RFC 3339 in UTC, durations seconds, names as in the Python library. Within a major version fields
and operations are only added: ignore what you do not know. Every answer carries `X-Request-Id`; errors are
problem details (RFC 9457), told apart by `code`."""

_RESPONSES = "#/components/responses/"
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

_SECURITY_SCHEMES: dict[str, Any] = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key. Beside each operation stands the scope that it needs; `admin` "
        "includes all. A service without keys answers on loopback without one.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What `POST /session` gave for an API key. It does what the key may; what changes "
        "something is taken from pages of the same origin only.",
    },
    "sig": {
        "type": "apiKey",
        "in": "query",
        "name": "sig",
        "description": "What `POST /events/token` signed for these jobs, in place of an API key.",
    },
}


def describe(resources: Iterable[Resource], routes: Sequence[BaseRoute] = ()) -> dict[str, Any]:
    """Return the document of these operations, and of FastAPI routes that were added to them.

    It does not depend on settings or handlers.
    """
    resources = tuple(resources)
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
    answers = {where: found for resource in resources for where, found in resource.answers.items()}
    for (path, method), found in answers.items():
        _answer(document["paths"][path][method]["responses"], found)
    components["responses"] = _problems(answers.values())
    components["headers"] = headers.components()
    components["securitySchemes"] = _SECURITY_SCHEMES
    return document


def _answer(responses: dict[str, Any], answers: Answers) -> None:
    """Add to what FastAPI knows of an operation's answers: headers, examples (it drops nulls), problems."""
    for success in answers.success:
        described = responses[str(success.status)]
        described["headers"] = headers.references(success.headers)
        if success.content is not None:
            described["content"] = success.content
        if success.example is not None:
            described["content"]["application/json"]["example"] = success.example
    for status, codes in _by_status(answers.problems):
        responses[str(status)] = {"$ref": _RESPONSES + _name(codes)}


def _problems(answers: Iterable[Answers]) -> dict[str, Any]:
    """Return an answer for each set of problems that some operation has under one status."""
    found = {codes for each in answers for _, codes in _by_status(each.problems)}
    return {_name(codes): _problem(codes) for codes in sorted(found)}


def _problem(codes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "description": "\n".join(f"- `{code}`: {CATALOGUE[code].when}" for code in codes),
        "headers": headers.references_of_problems(codes),
        "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + "Problem"}}},
    }


def _by_status(codes: Iterable[str]) -> list[tuple[int, tuple[str, ...]]]:
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(CATALOGUE[code].status, []).append(code)
    return [(status, tuple(found[status])) for status in sorted(found)]


def _name(codes: Iterable[str]) -> str:
    return ".".join(codes)


def _schemas(models: tuple[type[BaseModel], ...], mode: JsonSchemaMode) -> dict[str, Any]:
    _, found = models_json_schema([(model, mode) for model in models], ref_template=SCHEMAS + "{model}")
    schemas: dict[str, Any] = found["$defs"]
    return schemas
