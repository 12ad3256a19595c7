"""The composition root: from settings and handlers to an application."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from jdobb_async_queue import JobQueue, JobRouter
from jdobb_service import cors
from jdobb_service.body_limits import BodyLimits
from jdobb_service.dispatch import Dispatch
from jdobb_service.document import describe
from jdobb_service.edge import Edge
from jdobb_service.hosts import AllowedHosts
from jdobb_service.pages import page_routes
from jdobb_service.problems import Problem, problem_of
from jdobb_service.routes import (
    access,
    batch,
    bulk,
    events,
    feeds,
    health,
    job_types,
    jobs,
    listing,
    metrics,
    removal,
    results,
    stats,
    worker,
    workers,
)
from jdobb_service.settings import Settings, load_settings
from jdobb_service.state import ServiceState

RESOURCES = (
    jobs.resource,
    listing.resource,
    events.resource,
    health.resource,
    results.resource,
    removal.resource,
    batch.resource,
    bulk.resource,
    feeds.resource,
    access.resource,
    job_types.resource,
    stats.resource,
    workers.resource,
    metrics.resource,
    worker.resource,
)


class Application(FastAPI):
    """FastAPI without its outermost layers: they would take errors that ``Edge`` makes problems of."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with all its layers."""
        added, self.user_middleware = self.user_middleware, []
        app: Any = super().build_middleware_stack()
        self.user_middleware = added
        while not isinstance(app, ExceptionMiddleware):
            app = app.app
        for layer, args, kwargs in reversed(added):
            app = layer(app, *args, **kwargs)
        return cast("ASGIApp", app)


def create_app(
    settings: Settings | None = None, routers: Sequence[JobRouter] = (), *, queue: JobQueue | None = None
) -> FastAPI:
    """Return an application that serves a queue over HTTP and runs the routers' handlers.

    Without ``settings`` they are read from the environment. A ``queue`` of your own is used as it is and
    left open. Mounted into another application, whose lifespan has to enter ``running(app)``::

        jobs = create_app(settings, [router])

        @asynccontextmanager
        async def lifespan(app):
            async with running(jobs):
                yield

        app = FastAPI(lifespan=lifespan)
        app.mount("/queue", jobs)

    Raises ``ValueError`` when two routers have a handler for one job type.
    """
    settings = load_settings() if settings is None else settings
    state = ServiceState(settings, routers, queue)
    app = Application(
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.service = state
    for resource in RESOURCES:
        app.router.routes.extend(resource.routes)
    app.router.routes.extend(page_routes(_cached_json(app)))
    app.openapi = lambda: describe(RESOURCES, app.routes)  # type: ignore[method-assign]  # as FastAPI documents it
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(RequestValidationError, _answer_http_exception)
    app.add_middleware(Dispatch, routes=[route for resource in RESOURCES for route in resource.routes])
    app.add_middleware(
        Edge,
        hosts=AllowedHosts.of(settings.allowed_hosts, keys=bool(settings.keys())),
        bodies=BodyLimits.of_payload(settings.max_payload_bytes),
        metrics=state.metrics,
    )
    if settings.cors_origins:
        app.add_middleware(
            cors.Cors,
            allow_origins=settings.cors_origins,
            allow_methods=cors.METHODS,
            allow_headers=cors.REQUEST_HEADERS,
            expose_headers=cors.EXPOSED,
        )
    return app


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Open the application's queue and run its worker beside the block; for mounted applications."""
    state: ServiceState = app.state.service
    async with state.running():
        yield


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with running(app):
        yield


def _cached_json(app: FastAPI) -> Callable[[], bytes]:
    @cache
    def document() -> bytes:
        return json.dumps(app.openapi()).encode()

    return document


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.code == "method-not-allowed":
        problem = Problem(problem.code, headers={"allow": ", ".join(sorted(_methods(request) - {"HEAD"}))})
    return problem.response(request.state.request_id)


def _methods(request: Request) -> set[str]:
    """Return the methods of every route that the request's path matches."""
    found: set[str] = set()
    scope: Any = request.scope
    for route in request.app.router.routes:
        match, child = route.matches({**scope})
        if match is not Match.NONE:
            found |= (
                getattr(child.get("route", route), "methods", None)
                or getattr(route, "methods", None)
                or set()
            )
    return found
