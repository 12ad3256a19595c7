"""The pages that people open, and the OpenAPI document: served from memory, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jdobb_service.problems import Problem

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TRUSTED_TYPES = "require-trusted-types-for 'script'; trusted-types jdobb"
"""No text becomes markup or code on the dashboard; the policy is for the address of its SharedWorker."""
_ASSETS = {
    "docs.js": "docs.js",
    "swagger-ui-bundle.js": "swagger/swagger-ui-bundle.js",
    "swagger-ui.css": "swagger/swagger-ui.css",
}
_DASHBOARD = ("dashboard", "vendor")
_MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_FOLDER = files("jdobb_service") / "ui"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def page_routes(document: Callable[[], bytes]) -> list[Route]:
    """Return the routes of the pages; ``document`` gives the OpenAPI document as JSON."""
    index, docs = _Static("index.html", f"{POLICY}; {TRUSTED_TYPES}"), _Static("docs.html")
    docs_assets = {name: _Static(where) for name, where in _ASSETS.items()}
    dashboard_assets = dict(_dashboard_assets())

    async def serve_index(request: Request) -> Response:
        return index.response(request)

    async def serve_docs(request: Request) -> Response:
        return docs.response(request)

    def serve_from(assets: Mapping[str, _Static]) -> Callable[[Request], Awaitable[Response]]:
        async def serve_asset(request: Request) -> Response:
            asset = assets.get(request.path_params["name"])
            if asset is None:
                raise Problem("not-found")
            return asset.response(request)

        return serve_asset

    async def serve_document(_request: Request) -> Response:
        return Response(document(), media_type="application/json", headers={"cache-control": "no-cache"})

    return [
        Route("/", serve_index, methods=["GET"]),
        Route("/docs", serve_docs, methods=["GET"]),
        Route("/docs/{name}", serve_from(docs_assets), methods=["GET"]),
        Route("/ui/{name:path}", serve_from(dashboard_assets), methods=["GET"]),
        Route("/openapi.json", serve_document, methods=["GET"]),
    ]


def _dashboard_assets() -> Iterator[tuple[str, _Static]]:
    for folder in _DASHBOARD:
        for file in (_FOLDER / folder).iterdir():
            path = f"{folder}/{file.name}"
            if path.rpartition(".")[2] in _MEDIA_TYPES:
                yield path, _Static(path)


class _Static:
    """A file of this package, read once."""

    def __init__(self, path: str, policy: str = POLICY) -> None:
        self._content = (_FOLDER / path).read_bytes()
        self._etag = f'"{hashlib.sha256(self._content).hexdigest()[:32]}"'
        self._media_type = _MEDIA_TYPES[path.rpartition(".")[2]]
        self._headers = {**_HEADERS, "content-security-policy": policy, "etag": self._etag}

    def response(self, request: Request) -> Response:
        headers = self._headers
        if request.headers.get("if-none-match") == self._etag:
            return Response(status_code=304, headers=headers)
        return Response(self._content, media_type=self._media_type, headers=headers)
