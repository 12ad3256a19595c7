"""Problem details (RFC 9457): every error that the service answers; the only place with status codes.

``CATALOGUE`` is the whole list; ``docs/problems.md`` says the same in prose. A problem never repeats what
the request carried: it points at the place instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from jdobb_async_queue import (
    BackendError,
    DuplicateJob,
    IdempotencyKeyReused,
    InvalidCursor,
    JobConflict,
    JobExists,
    JobGone,
    JobNotFound,
    LeaseLost,
    PayloadTooLarge,
    QueueClosed,
    QueueFull,
)
from jdobb_service.masking import masked

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:jdobb:problem:"
RETRY_AFTER = 5
"""Seconds that ``Retry-After`` names where waiting helps and nothing better is known."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status code, its title, and when it is answered."""

    status: int
    title: str
    when: str


CATALOGUE: dict[str, Kind] = {
    "malformed-request": Kind(400, "Malformed request", "The request is not valid HTTP/1.1."),
    "malformed-json": Kind(400, "Malformed JSON", "The body is not a JSON text in UTF-8."),
    "invalid-cursor": Kind(400, "Invalid cursor", "The cursor is not one that this list gave out."),
    "invalid-idempotency-key": Kind(
        400,
        "Invalid idempotency key",
        "Idempotency-Key is not 1 to 255 visible characters, bare or quoted, or was sent twice.",
    ),
    "host-not-allowed": Kind(
        400,
        "Host not allowed",
        "The Host header is missing or names a host that the service is not configured for.",
    ),
    "origin-not-allowed": Kind(
        400, "Origin not allowed", "A browser asked whether a page may call the service, and it may not."
    ),
    "unauthenticated": Kind(
        401, "Not authenticated", "An API key is needed, as in `Authorization: Bearer …`, and none is valid."
    ),
    "insufficient-scope": Kind(
        403, "Not allowed", "The API key lacks the scope of this route, or is not for this job type."
    ),
    "insecure-address": Kind(
        403,
        "Not allowed on this address",
        "The service has no API keys and therefore answers on loopback only.",
    ),
    "foreign-origin": Kind(
        403,
        "Not allowed from this page",
        "Without an API key, only the service's own pages change something, and those that are configured.",
    ),
    "not-found": Kind(404, "Not found", "No such path."),
    "job-type-not-found": Kind(404, "Job type not found", "No job type has this name."),
    "worker-not-found": Kind(404, "Worker not found", "No worker has this id, or it has ended."),
    "job-not-found": Kind(404, "Job not found", "No job has this id, or it has been removed."),
    "method-not-allowed": Kind(405, "Method not allowed", "The path has other methods; Allow names them."),
    "request-timeout": Kind(408, "Request timeout", "The request did not arrive in time."),
    "job-exists": Kind(409, "Job exists", "The id is taken by a job with another job type or other data."),
    "duplicate-job": Kind(409, "Duplicate job", "Another live job holds the unique key."),
    "job-gone": Kind(409, "Job gone", "The job of this idempotency key has been removed."),
    "job-terminal": Kind(409, "Job is terminal", "The job has ended, so it cannot be cancelled any more."),
    "invalid-transition": Kind(
        409, "Invalid transition", "Only a failed or cancelled job can be made ready again."
    ),
    "not-terminal": Kind(409, "Job is not terminal", "The job has not ended, so it cannot be removed yet."),
    "not-finished": Kind(409, "Job is not finished", "The job has not ended, so it has no results yet."),
    "job-failed": Kind(
        409, "Job failed", "The job has failed or was cancelled, so it has no results; detail is its error."
    ),
    "lease-lost": Kind(409, "Lease lost", "The lease token is not, or no longer, current: stop working."),
    "payload-too-large": Kind(
        413, "Payload too large", "The body, or one of its values, is larger than the service takes."
    ),
    "uri-too-long": Kind(414, "URI too long", "The path and query are longer than 8 KiB."),
    "unsupported-media-type": Kind(
        415, "Unsupported media type", "The body is not sent as `Content-Type: application/json`."
    ),
    "validation": Kind(
        422, "Validation failed", "The request is well formed but not acceptable; see errors."
    ),
    "unknown-job-type": Kind(
        422, "Unknown job type", "The deployment takes known job types only, and this is none."
    ),
    "idempotency-key-reused": Kind(
        422, "Idempotency key reused", "The idempotency key came before with another body."
    ),
    "queue-full": Kind(429, "Queue full", "The job type has as many pending jobs as it may."),
    "headers-too-large": Kind(
        431, "Header fields too large", "The headers are more than 100 or larger than 32 KiB."
    ),
    "internal": Kind(500, "Internal error", "The service failed; its log has the reason under request_id."),
    "backend-unavailable": Kind(503, "Backend unavailable", "The store of the jobs does not answer."),
    "too-many-waits": Kind(
        503, "Too many waits", "As many requests wait for jobs as may; ask without waiting."
    ),
    "starting": Kind(503, "Starting", "The service has not opened its queue yet."),
    "worker-down": Kind(503, "Worker down", "The worker of this process has crashed and is started anew."),
    "worker-stuck": Kind(
        503, "Worker stuck", "A loop of this process's worker has not turned for a minute: start it anew."
    ),
    "draining": Kind(503, "Shutting down", "The service is shutting down; another instance answers."),
}


class Problem(Exception):  # noqa: N818 - the name is the standard's
    """An answer other than success: a code of the catalogue, and what is particular to this case.

    ``errors`` are the places, each ``{"pointer": …, "detail": …}``; ``members`` are extension members.
    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        errors: Iterable[dict[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.kind = CATALOGUE[code]
        self.detail = self.kind.when if detail is None else detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def response(self, request_id: str | None) -> Response:
        """Return the HTTP response."""
        return Response(
            self.body(request_id),
            status_code=self.kind.status,
            headers={"cache-control": "no-store", **self.headers},
            media_type=MEDIA_TYPE,
        )

    def body(self, request_id: str | None) -> bytes:
        """Return the problem as JSON."""
        content: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            content["errors"] = self.errors
        return json.dumps(content | self.members).encode()


def invalid(pointer: str, detail: str) -> Problem:
    """Return the 422 of one place."""
    return Problem("validation", errors=[{"pointer": pointer, "detail": detail}])


def pointer(*path: str | int) -> str:
    """Return the JSON pointer (RFC 6901) to a place in the body, as a URI fragment."""
    steps = (quote(str(step).replace("~", "~0").replace("/", "~1"), errors="replace") for step in path)
    return "#" + "".join("/" + step[:200] for step in list(steps)[:70])


def refused(message: str, fields: Collection[str]) -> Problem | None:
    """Return the 422 of what the library refused, pointing at the field, without the value.

    None when its ``message`` does not begin with one of ``fields``.
    """
    field, _, rest = message.partition(", got ")[0].partition(" ")
    return invalid(pointer(field), rest) if field in fields else None


def place_of(field: str) -> list[str | int]:
    """Return the path to what the library names as ``data`` or ``jobs[3].data``."""
    return [int(step) if step.isdecimal() else step for step in re.split(r"[\[\].]+", field)]


def within(problem: Problem, *path: str | int) -> Problem:
    """Return the problem of a part, with places that point into the whole; ``path`` leads to the part."""
    prefix = pointer(*path)
    places = [{**place, "pointer": prefix + place["pointer"].removeprefix("#")} for place in problem.errors]
    return Problem(
        problem.code,
        problem.detail,
        errors=places or [{"pointer": prefix, "detail": problem.kind.when}],
        headers=problem.headers,
        members=problem.members,
    )


def parameter(name: str) -> str:
    """Return how ``errors`` points at a query parameter."""
    return "?" + quote(masked(name)[:200], safe="/*", errors="replace")


_CODES: tuple[tuple[type[Exception], str], ...] = (
    (JobNotFound, "job-not-found"),
    (JobExists, "job-exists"),
    (DuplicateJob, "duplicate-job"),
    (IdempotencyKeyReused, "idempotency-key-reused"),
    (JobGone, "job-gone"),
    (LeaseLost, "lease-lost"),
    (InvalidCursor, "invalid-cursor"),
    (PayloadTooLarge, "payload-too-large"),
    (QueueFull, "queue-full"),
    (BackendError, "backend-unavailable"),
    (QueueClosed, "draining"),
)
_WAIT = frozenset({"queue-full", "backend-unavailable", "draining"})
_OF_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "payload-too-large"}


def problem_of(error: Exception) -> Problem:
    """Return the problem that an error is answered with; ``internal`` for one that nobody expected."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        code = _OF_STATUS.get(error.status_code, "internal")
        return Problem(code, headers=error.headers)
    for kind, code in _CODES:
        if isinstance(error, kind):
            return _of_library(code, error)
    return Problem("internal")


def _of_library(code: str, error: Exception) -> Problem:
    headers = {"retry-after": str(RETRY_AFTER)} if code in _WAIT else None
    if isinstance(error, PayloadTooLarge):
        detail = f"is {error.size} bytes of JSON; at most {error.limit} are taken"
        places = [{"pointer": pointer(*place_of(error.field)), "detail": detail}]
        return Problem(code, errors=places, members={"limit": error.limit})
    if isinstance(error, JobConflict) and error.job_id is not None:
        return Problem(code, members={"job_id": error.job_id})
    return Problem(code, headers=headers)
