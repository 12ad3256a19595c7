"""The way from a request to its operation, below the framework's routing.

The framework tries one route after the other and enters layers that no operation needs, which is a sixth of
what a short request costs. Operations are looked up by method and path instead; what is not found goes on to
the framework, which knows pages, and the right answer to unknown paths and methods.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

_TRACED = "fastapi.telemetry"
"""In the scope of a request that the framework traces: its spans name the route that it has found itself."""


class Dispatch:
    """Serves the operations of ``routes``, and has the framework serve everything else.

    A path has at most one parameter, which is a whole segment: ``/jobs/{id}/cancel``.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[Route]) -> None:
        self._app = app
        self._exact: dict[tuple[str, str], ASGIApp] = {}
        self._around: dict[tuple[str, str, str], tuple[str, ASGIApp]] = {}
        for route in routes:
            before, brace, rest = route.path.partition("{")
            name, _, after = rest.partition("}")
            for method in route.methods or ():
                if brace:
                    self._around[method, before, after] = (name, route.app)
                else:
                    self._exact[method, route.path] = route.app
        self._places = {before.count("/") for _, before, _ in self._around}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        found = None
        if scope["type"] == "http" and _TRACED not in scope:
            found = self.find(scope)
        await (found or self._app)(scope, receive, send)

    def find(self, scope: Scope) -> ASGIApp | None:
        """Return what serves the request, if it is an operation, and note the parameter of its path."""
        method: str = scope["method"]
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        segments = path.split("/")
        for place in self._places:
            if place < len(segments) and segments[place]:
                before = "/".join(segments[:place]) + "/"
                after = "/".join(["", *segments[place + 1 :]])
                found = self._around.get((method, before, after))
                if found is not None:
                    scope["path_params"] = {**scope.get("path_params", {}), found[0]: segments[place]}
                    return found[1]
        return None
