"""The pages that people open, and the OpenAPI document: served from memory, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jdobb_service.problems import Problem

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASSETS = {
    "docs.js": ("docs.js", "text/javascript"),
    "index.css": ("index.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("swagger/swagger-ui.css", "text/css"),
}
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def page_routes(document: Callable[[], bytes]) -> list[Route]:
    """Return the routes of the pages; ``document`` gives the OpenAPI document as JSON."""
    index, docs = _Static("index.html", "text/html"), _Static("docs.html", "text/html")
    assets = {name: _Static(*where) for name, where in _ASSETS.items()}

    async def serve_index(request: Request) -> Response:
        return index.response(request)

    async def serve_docs(request: Request) -> Response:
        return docs.response(request)

    async def serve_asset(request: Request) -> Response:
        asset = assets.get(request.path_params["name"])
        if asset is None:
            raise Problem("not-found")
        return asset.response(request)

    async def serve_document(_request: Request) -> Response:
        return Response(document(), media_type="application/json", headers={"cache-control": "no-cache"})

    return [
        Route("/", serve_index, methods=["GET"]),
        Route("/docs", serve_docs, methods=["GET"]),
        Route("/docs/{name}", serve_asset, methods=["GET"]),
        Route("/openapi.json", serve_document, methods=["GET"]),
    ]


class _Static:
    """A file of this package, read once."""

    def __init__(self, path: str, media_type: str) -> None:
        self._content = (files("jdobb_service") / "ui" / path).read_bytes()
        self._etag = f'"{hashlib.sha256(self._content).hexdigest()[:32]}"'
        self._media_type = media_type

    def response(self, request: Request) -> Response:
        headers = {**_HEADERS, "etag": self._etag}
        if request.headers.get("if-none-match") == self._etag:
            return Response(status_code=304, headers=headers)
        return Response(self._content, media_type=self._media_type, headers=headers)
