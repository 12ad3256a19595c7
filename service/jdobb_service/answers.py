"""Jobs as responses: the representation, its ETag, and what a caller may see of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from jdobb_async_queue import Job, JobPage
from jdobb_service.operations import Call

_LEASE = {"lease_token", "lease_expires_at"}
_LARGE = frozenset({"data", "results", "errors"})
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')
_SOON, _LATE = 1, 10
_NOT_CACHED = {"cache-control": "no-store"}


class JsonResponse(Response):
    """A response of JSON bytes, put together without more ado: every call ends in one."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.body, self.status_code, self.background = body, status, None
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *((name.encode(), value.encode("latin-1")) for name, value in headers.items()),
        ]


def job_response(
    call: Call, job: Job, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a job as a response."""
    return JsonResponse(job_json(call, job), status, {**validators(job), **(headers or {})})


def job_json(call: Call, job: Job) -> bytes:
    """Return the job as JSON; without the scope ``read``, nothing of what it carries is shown."""
    if not call.caller.may("read"):
        hidden: dict[str, Any] = {"data": {}, "metadata": {}, "results": None, "errors": []}
        job = job.model_copy(update={**hidden, "message": None, "error": None})
    return job.__pydantic_serializer__.to_json(job, exclude=_LEASE)


def page_json(page: JobPage, include: frozenset[str]) -> bytes:
    """Return a page of jobs as JSON, with only those of the large fields that ``include`` names."""
    left_out: Any = {"items": {"__all__": _LEASE | (_LARGE - include)}}
    return page.__pydantic_serializer__.to_json(page, exclude=left_out)


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model as a response that nobody caches."""
    return JsonResponse(to_json(value), status, {**_NOT_CACHED, **(headers or {})})


def no_content(headers: Mapping[str, str] | None = None) -> Response:
    """Return a response without a body that nobody caches."""
    return Response(status_code=204, headers={**_NOT_CACHED, **(headers or {})})


def validators(job: Job) -> dict[str, str]:
    """Return the headers with which a client asks again: version, and when it makes sense."""
    found = {"etag": f'"v{job.version}"', "cache-control": "private, no-cache"}
    if not job.status.is_terminal:
        found["retry-after"] = str(_retry_after(job))
    return found


def is_known(job: Job, if_none_match: str | None) -> bool:
    """Tell whether the client has this version already (RFC 9110, weak comparison)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return f"v{job.version}" in _ETAG.findall(if_none_match)


def _retry_after(job: Job) -> int:
    if job.run_at <= job.updated_at or (job.started_at is not None and job.status == "processing"):
        return _SOON
    due = (job.run_at - datetime.now(UTC)).total_seconds()
    return max(_SOON, min(_LATE, math.ceil(due)))
