"""The outermost layer of the application: what holds for every request, before anything looks at it.

Pure ASGI, in one layer because every request pays for it: a request id, the Host check, the limit on
bodies, one log line, and a problem for whatever went wrong inside.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from functools import lru_cache

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jdobb_async_queue import BackendError
from jdobb_service.body_limits import BodyLimits
from jdobb_service.hosts import ANY_HOST_PATHS, AllowedHosts
from jdobb_service.masking import shown_path, shown_query
from jdobb_service.metrics import Metrics
from jdobb_service.problems import Problem, problem_of

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_DIGITS = 15

log = structlog.get_logger("jdobb_service.http")


class Edge:
    """Gives each request an id, lets it in or not, and turns errors into problems."""

    def __init__(self, app: ASGIApp, *, hosts: AllowedHosts, bodies: BodyLimits, metrics: Metrics) -> None:
        self._app, self._bodies, self._metrics = app, bodies, metrics
        self._allow = lru_cache(maxsize=64)(hosts.allow)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope)
        state = scope.setdefault("state", {})
        state["request_id"], state["headers"] = request.id, request.headers
        answer = _Answer(send, request.id)
        began = time.perf_counter()
        try:
            await self._app(self._admitted(request), self._limited(request, receive), answer.send)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes an answer
            if isinstance(error, BackendError):
                self._metrics.backend_failed("http")
            await answer.failed(error, scope, receive)
        finally:
            _log(request, answer, time.perf_counter() - began)

    def _admitted(self, request: _Request) -> Scope:
        """Return the scope that the application gets; HEAD is GET to it, servers drop the body."""
        host = request.headers.get(b"host", b"")
        if not (host and self._allow(host.decode("latin-1"))) and request.path not in ANY_HOST_PATHS:
            raise Problem("host-not-allowed")
        length = request.headers.get(b"content-length", b"0")
        limit = self._bodies.of(request.path)
        if len(length) > _DIGITS or not length.isdigit() or int(length) > limit:
            raise _too_large(limit)
        scope = request.scope
        if scope["method"] == "HEAD" and not request.path.endswith("/events"):
            return {**scope, "method": "GET"}
        return scope

    def _limited(self, request: _Request, receive: Receive) -> Receive:
        """Count a body whose length was not declared; a declared one is held to it by the server."""
        if b"transfer-encoding" not in request.headers:
            return receive
        limit, received = self._bodies.of(request.path), 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(limit)
            return message

        return counted


def _too_large(limit: int) -> Problem:
    return Problem("payload-too-large", f"The body is larger than {limit} bytes.", members={"limit": limit})


class _Request:
    """What the edge needs to know of a request."""

    __slots__ = ("headers", "id", "path", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        self.headers = _by_name(scope["headers"])
        given = self.headers.get(b"x-request-id", b"")
        self.id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)


def _by_name(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name; a repeated one is joined, so that no reader sees only one of its values."""
    headers = dict(pairs)
    if len(headers) != len(pairs):
        headers = {}
        for name, value in pairs:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


class _Answer:
    """Sends the response, with the request id in it, and remembers its status."""

    __slots__ = ("_id", "_send", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._id = send, request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id.encode())]
        await self._send(message)

    async def failed(self, error: Exception, scope: Scope, receive: Receive) -> None:
        """Answer with the error's problem, if nothing was sent yet."""
        if isinstance(error, ClientDisconnect):
            return
        problem = problem_of(error)
        if problem.code == "internal":
            log.error("request failed", request_id=self._id, exc_info=error)
        if self.status is not None:
            raise error
        await problem.response(self._id)(scope, receive, self.send)


def _log(request: _Request, answer: _Answer, seconds: float) -> None:
    scope = request.scope
    write: Callable[..., None] = log.info
    if request.path in ANY_HOST_PATHS and answer.status is not None and answer.status < 400:  # noqa: PLR2004 - no error
        write = log.debug
    query = scope.get("query_string")
    write(
        "request",
        method=scope["method"],
        path=shown_path(scope["path"]),
        **({"query": shown_query(query)} if query else {}),
        status=answer.status,
        ms=round(seconds * 1000, 1),
        request_id=request.id,
        caller=scope["state"].get("caller"),
    )
