"""The headers that answers have, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_REFERENCE = "#/components/headers/"
_STRING: dict[str, Any] = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Header:
    """A header: what it says, its schema, and whether each answer that declares it has it."""

    description: str
    schema: dict[str, Any]
    example: Any
    always: bool = True


HEADERS: dict[str, Header] = {
    "X-Request-Id": Header(
        "The request's own id, if it is 8 to 128 characters of A-Z a-z 0-9 . _ -, else a new one.",
        _STRING,
        "8f14e45fceea167a5a36dedd",
    ),
    "Cache-Control": Header("Who may keep the answer; a shared cache never.", _STRING, "no-store"),
    "Location": Header("Path of the job.", _STRING, "/jobs/order-18"),
    "ETag": Header("Version of the job, for If-None-Match.", _STRING, '"v1"'),
    "Retry-After": Header(
        "Seconds after which asking again makes sense.", {"type": "integer"}, 5, always=False
    ),
    "Link": Header(
        'The next page, as `rel="next"`.', _STRING, '</jobs?cursor=e30>; rel="next"', always=False
    ),
    "Preference-Applied": Header("The wait that was granted.", _STRING, "wait=10", always=False),
    "Vary": Header("`Prefer`, if it was granted.", _STRING, "Prefer", always=False),
    "Set-Cookie": Header(
        "The session.", _STRING, "jdobb_session=AfBw…; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict",
        always=False,
    ),
    "Idempotent-Replayed": Header("`true` when the key was known.", _STRING, "true", always=False),
    "X-Accel-Buffering": Header("`no`: a proxy is to pass each event on at once.", _STRING, "no"),
    "WWW-Authenticate": Header("What is missing.", _STRING, 'Bearer realm="jobs"', always=False),
    "Accept": Header("What is taken.", _STRING, "application/json"),
}  # fmt: skip
EVERYWHERE = ("X-Request-Id", "Cache-Control")
"""What every answer has, save that of a proxy in front."""
_OF_PROBLEMS = {
    "unauthenticated": ("WWW-Authenticate",),
    "insufficient-scope": ("WWW-Authenticate",),
    "not-finished": ("Retry-After", "Preference-Applied", "Vary"),
    "job-failed": ("Preference-Applied", "Vary"),
    "unsupported-media-type": ("Accept",),
    "queue-full": ("Retry-After",),
    "backend-unavailable": ("Retry-After",),
    "too-many-waits": ("Retry-After",),
    "starting": ("Retry-After",),
    "worker-down": ("Retry-After",),
    "draining": ("Retry-After",),
}


def references(names: Iterable[str]) -> dict[str, Any]:
    """Return the headers of an answer, together with those that every answer has."""
    return {name: {"$ref": _REFERENCE + name} for name in (*EVERYWHERE, *names)}


def references_of_problems(codes: Iterable[str]) -> dict[str, Any]:
    """Return the headers of an answer that is one of these problems."""
    return references(name for code in codes for name in _OF_PROBLEMS.get(code, ()))


def components() -> dict[str, Any]:
    """Return the headers as the document declares them, once."""
    return {name: _component(header) for name, header in sorted(HEADERS.items())}


def _component(header: Header) -> dict[str, Any]:
    return {
        "description": header.description,
        **({"required": True} if header.always else {}),
        "schema": header.schema,
        "example": header.example,
    }
