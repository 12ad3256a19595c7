"""Calls from pages of other origins, if any are configured."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from jdobb_service.problems import Problem

METHODS = ("GET", "POST", "PUT", "DELETE")
REQUEST_HEADERS = (
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "prefer",
    "traceparent",
    "x-request-id",
)
EXPOSED = (
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "X-Request-Id",
)


class Cors(CORSMiddleware):
    """Starlette's, whose refusals are problems."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks whether a page may send a request."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:  # noqa: PLR2004 - no error
            return response
        return Problem("origin-not-allowed").response(None)
