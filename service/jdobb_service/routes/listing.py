"""Lists of jobs, page by page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from jdobb_async_queue import JobPage, JobStatus
from jdobb_service import examples
from jdobb_service.answers import JsonResponse, page_json
from jdobb_service.operations import NAME, Call, Resource, Success, operation, query
from jdobb_service.parameters import checked_name, unknown
from jdobb_service.problems import Problem, invalid, parameter
from jdobb_service.schemas import jobs as wire
from jdobb_service.schemas.values import parse_instant
from jdobb_service.visibility import visible_types

resource = Resource("jobs")

_DEFAULT_PAGE = 50
_MOST_DIGITS = 9
_LARGE = ("data", "results", "errors")
_STATUSES = [status.value for status in JobStatus]
_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}


@dataclass(slots=True)
class Wanted:
    """Which jobs a list request asks for."""

    status: list[str] = field(default_factory=list)
    job_type: list[str] = field(default_factory=list)
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    limit: int = _DEFAULT_PAGE
    cursor: str | None = None
    include: frozenset[str] = frozenset()


@operation(
    resource,
    "GET",
    "/jobs",
    scope="read",
    parameters=[
        query(
            "status",
            {"type": "array", "items": {"type": "string", "enum": _STATUSES}},
            "Only these; with exactly one, the list is in that status's order.",
        ),
        query(
            "job_type",
            {"type": "array", "items": {"type": "string", "pattern": f"^{NAME.pattern}$"}},
            "Only these.",
        ),
        query("created_after", _INSTANT, "Created after this instant."),
        query("created_before", _INSTANT, "Created before this instant."),
        query(
            "metadata",
            {"type": "object", "additionalProperties": {"type": "string"}},
            "`metadata.KEY=VALUE`: only jobs whose metadata has this string under this name.",
            style="form",
            explode=True,
        ),
        query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": wire.MAX_PAGE, "default": _DEFAULT_PAGE},
            "Jobs on a page, at most.",
        ),
        query(
            "cursor", {"type": "string"}, "`next_cursor` of the page before; the filters must be the same."
        ),
        query(
            "include",
            {"type": "array", "items": {"type": "string", "enum": list(_LARGE)}},
            "Large fields to show, separated by commas.",
            style="form",
            explode=False,
        ),
    ],
    success=[
        Success(
            200, "A page of jobs, newest created first.", wire.JobList, ("Link",), example=examples.JOB_PAGE
        )
    ],
    problems=["invalid-cursor", "validation"],
)
async def list_jobs(call: Call) -> Response:
    """List jobs.

    A page may be short or empty and still have a cursor: filters look at a bounded number of jobs.
    """
    wanted = _parse(call.query.multi_items())
    page = await _page(call, wanted)
    headers = {"cache-control": "private, no-cache"}
    if page.next_cursor is not None:
        headers["link"] = f'<{_next(call, page.next_cursor)}>; rel="next"'
    return JsonResponse(page_json(page, wanted.include), 200, headers)


async def _page(call: Call, wanted: Wanted) -> JobPage:
    return await call.queue.list_jobs(
        wanted.status or None,
        await visible_types(call, wanted.job_type),
        wanted.created_after,
        wanted.created_before,
        wanted.metadata or None,
        wanted.limit,
        wanted.cursor,
    )


def _next(call: Call, cursor: str) -> str:
    kept = [(name, text) for name, text in call.query.multi_items() if name != "cursor"]
    return call.path("/jobs") + "?" + urlencode([*kept, ("cursor", cursor)])


def _parse(parameters: Iterable[tuple[str, str]]) -> Wanted:
    """Return what the query asks for. Raises the 422 that points at the first parameter that is wrong."""
    wanted = Wanted()
    seen: set[str] = set()
    for name, text in parameters:
        if name in seen and name not in {"status", "job_type"}:
            raise invalid(parameter(name), "may be given once")
        seen.add(name)
        _take(wanted, name, text)
    return wanted


def _take(wanted: Wanted, name: str, text: str) -> None:
    match name:
        case "status":
            wanted.status.append(_one_of(name, text, _STATUSES))
        case "job_type":
            wanted.job_type.append(checked_name(name, text))
        case "created_after":
            wanted.created_after = _instant(name, text)
        case "created_before":
            wanted.created_before = _instant(name, text)
        case "limit":
            wanted.limit = _limit(text)
        case "cursor":
            if not text.isascii():
                raise Problem("invalid-cursor")
            wanted.cursor = text
        case "include":
            wanted.include = frozenset(_one_of(name, part, _LARGE) for part in text.split(",") if part)
        case _ if name.startswith("metadata.") and name != "metadata.":
            wanted.metadata[name.removeprefix("metadata.")] = text
        case _:
            raise unknown(name)


def _one_of(name: str, text: str, known: Iterable[str]) -> str:
    if text not in known:
        raise invalid(parameter(name), f"must be one of {', '.join(known)}")
    return text


def _limit(text: str) -> int:
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0
    if not 1 <= limit <= wire.MAX_PAGE:
        raise invalid(parameter("limit"), f"must be a whole number from 1 to {wire.MAX_PAGE}")
    return limit


def _instant(name: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise invalid(parameter(name), str(error)) from None
