"""The short way to an operation leads where the framework's routing leads."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from jdobb_service.app import RESOURCES, create_app
from jdobb_service.dispatch import Dispatch
from jdobb_service.edge import Edge
from jdobb_service.settings import Settings

ROUTES: list[Route] = [route for resource in RESOURCES for route in resource.routes]
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
PATHS = sorted({route.path.replace("{id}", "a").replace("{job_type}", "b") for route in ROUTES})
ODD = (
    "", "/", "//", "/jobs/", "//jobs", "/jobs//", "/jobs//cancel", "/jobs/a/", "/jobs/a//cancel",
    "/jobs/a/b/c", "/jobs/a/cancel/", "/a/jobs", "/jobs/a b", "/jobs/é", "/jobs/{id}",
    "/jobs/{id}/cancel", "/JOBS", "jobs", "/worker/jobs", "/worker/jobs/", "/worker/jobs//progress",
    "/worker/jobs/a", "/workers/a/quiet/", "/docs",
)  # fmt: skip


async def otherwise(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand for the framework."""


def by_the_framework(scope: Scope) -> tuple[ASGIApp | None, dict[str, Any]]:
    for route in ROUTES:
        match, child = route.matches(scope)
        if match is Match.FULL:
            return route.app, child["path_params"]
    return None, {}


@pytest.mark.parametrize("root", ["", "/queue"])
def test_a_request_goes_where_the_framework_would_send_it(root: str):
    dispatch = Dispatch(otherwise, routes=ROUTES)
    for method, path in itertools.product(METHODS, (*PATHS, *ODD)):
        scope = {"type": "http", "method": method, "path": root + path, "root_path": root}
        app, parameters = by_the_framework(dict(scope))
        assert dispatch.find(scope) is app, (method, path)
        assert scope.get("path_params", {}) == parameters, (method, path)


async def test_what_is_no_operation_and_what_is_traced_goes_to_the_framework():
    served: list[str] = []

    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        served.append(scope["path"])

    async def nothing(*_: Any) -> Any: ...

    dispatch = Dispatch(framework, routes=ROUTES)
    await dispatch({"type": "http", "method": "GET", "path": "/nowhere"}, nothing, nothing)
    await dispatch(
        {"type": "http", "method": "POST", "path": "/jobs", "fastapi.telemetry": object()}, nothing, nothing
    )
    await dispatch({"type": "lifespan", "path": "-"}, nothing, nothing)
    assert served == ["/nowhere", "/jobs", "-"]


def test_what_an_application_adds_is_around_the_edge_and_the_framework_inside_of_it():
    app = create_app(Settings(backend_url="memory://"))
    app.add_middleware(GZipMiddleware)

    outermost = app.build_middleware_stack()
    layers: list[object] = [outermost]
    while not isinstance(layers[-1], ExceptionMiddleware):
        layers.append(getattr(layers[-1], "app", None) or getattr(layers[-1], "_app", None))

    assert [type(layer) for layer in layers] == [GZipMiddleware, Edge, Dispatch, ExceptionMiddleware]
    assert [added.cls for added in app.user_middleware] == [GZipMiddleware, Edge, Dispatch]
