"""Operations: an endpoint together with its scope and its place in the OpenAPI document.

FastAPI writes the document from them; requests go straight to the endpoint, which takes a ``Call`` and
returns the response. What an operation says of itself stands beside it, and once: the scope in the document
is the scope that is checked.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from jdobb_async_queue import JobQueue
from jdobb_service.hosts import ANY_HOST_PATHS
from jdobb_service.problems import Problem
from jdobb_service.security import ANYBODY, Caller
from jdobb_service.sessions import is_foreign, session_of
from jdobb_service.state import ServiceState

NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What a job's id, a job type and a worker's id look like."""
SCHEMAS = "#/components/schemas/"
_ANYWHERE = (
    "malformed-request",
    "request-timeout",
    "payload-too-large",
    "uri-too-long",
    "headers-too-large",
    "internal",
)
_OF_CALLERS = ("unauthenticated", "insufficient-scope", "insecure-address", "backend-unavailable", "draining")


@dataclass(slots=True)
class Call:
    """One request, by whom, and the application that serves it.

    ``headers`` has each name once; the values of a repeated one are joined by a comma and a space.
    """

    scope: Scope
    receive: Receive
    state: ServiceState
    caller: Caller
    headers: dict[bytes, bytes]

    @property
    def queue(self) -> JobQueue:
        """Return the application's queue."""
        return self.state.queue

    @property
    def request_id(self) -> str:
        """Return the id that the response and the log carry."""
        request_id: str = self.scope["state"]["request_id"]
        return request_id

    @property
    def query(self) -> QueryParams:
        """Return the query parameters."""
        return QueryParams(self.scope["query_string"])

    def header(self, name: bytes) -> str | None:
        """Return a header, by its name in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def job_id(self) -> str:
        """Return the job id in the path. Raises ``Problem`` when no job can have it."""
        job_id: str = self.scope["path_params"]["id"]
        if NAME.fullmatch(job_id) is None:
            raise Problem("job-not-found")
        return job_id

    def path(self, path: str) -> str:
        """Return the absolute path under which the client reaches ``path``."""
        root: str = self.scope.get("root_path", "")
        return root.rstrip("/") + path


class Endpoint(Protocol):
    """What answers the calls of one operation."""

    __name__: str

    def __call__(self, call: Call, /) -> Awaitable[Response]:
        """Return the response to a call, or raise a ``Problem``."""


E = TypeVar("E", bound=Endpoint)


class Resource:
    """The operations of one resource: what serves them, and what documents them."""

    def __init__(self, tag: str) -> None:
        self.routes: list[Route] = []
        self.documented = APIRouter(tags=[tag])
        self.answers: dict[tuple[str, str], Answers] = {}


class Serve:
    """Serves one operation: who calls, may they, then the endpoint."""

    def __init__(self, endpoint: Endpoint, scopes: tuple[str, ...], *, signed: bool = False) -> None:
        self._endpoint, self._scopes, self._takes_sig = endpoint, scopes, signed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        service: ServiceState = scope["app"].state.service
        known = scope["state"]
        headers: dict[bytes, bytes] = known["headers"]
        caller = ANYBODY
        if self._scopes:
            caller = self._admit(service, scope, headers)
            known["caller"] = caller.id
        response = await self._endpoint(Call(scope, receive, service, caller, headers))
        await response(scope, receive, send)

    def _admit(self, service: ServiceState, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        authorization, sig, session = headers.get(b"authorization"), None, None
        if authorization is None:
            if self._takes_sig and b"sig=" in scope["query_string"]:
                sig = QueryParams(scope["query_string"]).get("sig")
            if sig is None and b"cookie" in headers:
                session = session_of(headers, scope["method"])
        caller = service.guard.admit(
            authorization, scope.get("server"), *self._scopes, sig=sig, session=session
        )
        changes = scope["method"] != "GET"
        if changes and caller.key is None and is_foreign(headers, service.settings.cors_origins):
            raise Problem("foreign-origin")
        return caller


@dataclass(frozen=True, slots=True)
class Success:
    """A response other than a problem, for the document."""

    status: int
    description: str
    model: Any = None
    headers: tuple[str, ...] = ()
    content: dict[str, Any] | None = None
    example: Any = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What an operation may answer, for the document: successes, and codes of problems."""

    success: tuple[Success, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """What a request body holds, for the document."""

    model: type[BaseModel]
    examples: dict[str, Any]
    """By their names."""
    required: bool = True


def operation(
    resource: Resource,
    method: str,
    path: str,
    *,
    scope: str | tuple[str, ...] | None,
    success: Iterable[Success],
    problems: Iterable[str] = (),
    parameters: Iterable[dict[str, Any]] = (),
    body: Body | None = None,
    signed: bool = False,
    session: bool = True,
) -> Callable[[E], E]:
    """Register the decorated endpoint; ``scope`` None is open to everybody, of several any will do.

    ``signed`` takes ``?sig=`` too. ``session`` says, for the document, whether a session's cookie will do.

    The first ``success`` is the usual one; the docstring's first line is the summary.
    """
    first, *others = success
    scopes = (scope,) if isinstance(scope, str) else scope or ()
    codes = [*problems, *_ANYWHERE]
    extra: dict[str, Any] = {"parameters": [*_path_parameters(path), *parameters]}
    if path not in ANY_HOST_PATHS:
        codes.append("host-not-allowed")
    if scopes:
        extra["security"] = _security(scopes, signed=signed, session=session)
        codes += [*_OF_CALLERS, *(() if method == "GET" else ("foreign-origin",))]
    if body is not None:
        codes += ["malformed-json", "unsupported-media-type", "validation"]
        extra["requestBody"] = _request_body(body)

    def register(endpoint: E) -> E:
        summary, _, description = (endpoint.__doc__ or "").partition("\n")

        route = Route(path, Serve(endpoint, scopes, signed=signed), methods=[method])
        route.methods = {method}  # HEAD is made GET at the edge, where that ends
        resource.routes.append(route)
        resource.answers[path, method.lower()] = Answers((first, *others), tuple(dict.fromkeys(codes)))
        resource.documented.add_api_route(
            path,
            _documented,
            methods=[method],
            operation_id=endpoint.__name__,
            summary=summary.rstrip("."),
            description="\n".join(line.strip() for line in description.strip().splitlines()),
            status_code=first.status,
            response_model=first.model,
            response_class=Response if first.model is None else JSONResponse,
            response_description=first.description,
            responses={other.status: _of_model(other) for other in others},
            openapi_extra=extra,
        )
        return endpoint

    return register


def _of_model(success: Success) -> dict[str, Any]:
    described = {"description": success.description}
    return described if success.model is None else {**described, "model": success.model}


# Stands for an operation in the document. FastAPI would take a docstring for the operation's description.
def _documented() -> None: ...


def query(name: str, schema: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    """Return a query parameter of the document."""
    return {"name": name, "in": "query", "schema": schema, "description": description, **more}


def header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """Return a header parameter of the document."""
    return {"name": name, "in": "header", "schema": schema, "description": description}


def _security(scopes: Iterable[str], *, signed: bool, session: bool) -> list[dict[str, list[str]]]:
    schemes = ("apiKey", "session") if session else ("apiKey",)
    keys = [{scheme: [scope]} for scheme in schemes for scope in scopes]
    return [*keys, {"sig": []}] if signed else keys


def _path_parameters(path: str) -> list[dict[str, Any]]:
    schema = {"type": "string", "pattern": f"^{NAME.pattern}$"}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schema,
            "description": _described(path, name),
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _described(path: str, name: str) -> str:
    if name == "id":
        return "The worker's id." if path.startswith("/workers/") else "The job's id."
    return f"The {name.replace('_', ' ')}."


def _request_body(body: Body) -> dict[str, Any]:
    media = {
        "schema": {"$ref": SCHEMAS + body.model.__name__},
        "examples": {name: {"value": value} for name, value in body.examples.items()},
    }
    return {"required": body.required, "content": {"application/json": media}}
