"""A queue behind a service: the only module that knows httpx and the paths of the interface."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from pydantic import ValidationError

from jdobb_async_queue import Job, JobNotFound, JobPage, JobUpdate, NewJob
from jdobb_service.cli.clients.base import Client, JobFilter
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.schemas.stats import Stats

KEY_VARIABLE = "JDOBB_API_KEY"
LONG_POLL = 25.0
"""Seconds that one request waits for a job; proxies often cut after 30."""
SILENCE = 60.0
"""Seconds without a sign of life after which a stream is opened anew; the service comments every 15."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before trying again; they double."""
BREATH = 0.5
"""Seconds between questions to a service that answers at once although it was asked to wait."""
OUTAGE = 10.0
"""Seconds that a wait goes on without reaching the service."""

T = TypeVar("T")


class HttpClient(Client):
    """Calls a service."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = _checked_url(url)
        headers = {"user-agent": f"jdobb/{version('jdobb-async-queue')}"}
        if key is not None:
            headers["authorization"] = f"Bearer {_checked_key(key)}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(LONG_POLL + 10, connect=5, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=10),
        )

    @classmethod
    def from_environment(cls, url: str) -> HttpClient:
        """Return the client of a service, with the API key of the environment."""
        return cls(url, os.environ.get(KEY_VARIABLE) or None)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def enqueue(self, job: NewJob) -> Job:
        """Store a new job; return it, or the existing one that it met."""
        body = job.model_dump(mode="json", exclude_unset=True, exclude={"data"}) | {"data": job.data}
        if "job_id" in body:
            body["id"] = body.pop("job_id")
        return _parsed(Job.model_validate, await self._json("POST", "/jobs", body=body))

    async def get(self, job_id: str) -> Job:
        """Return a job."""
        return await self._of_job("GET", job_id)

    async def wait(self, job_id: str, timeout: float | None) -> Job:
        """Return the job when it is terminal, after ``timeout`` seconds at most."""
        loop = asyncio.get_running_loop()
        ends = None if timeout is None else loop.time() + timeout
        while True:
            asked_at = loop.time()
            left = LONG_POLL if ends is None else min(LONG_POLL, max(0.0, ends - asked_at))
            query = {"wait": f"{left:.3f}"}
            try:
                job = await self._patiently(partial(self._of_job, "GET", job_id, params=query))
            except _Full:
                job = await self._patiently(partial(self._of_job, "GET", job_id))
            if job.status.is_terminal:
                return job
            if ends is not None and loop.time() >= ends:
                message = f"job {job_id!r} is still {job.status.value} after {timeout:g} s"
                raise TimeoutError(message)
            if loop.time() - asked_at < left:  # the service has no room for more who wait
                await asyncio.sleep(min(left, BREATH))

    async def updates(self, job_id: str) -> AsyncIterator[JobUpdate]:
        """Yield the job's present state and then each update, up to the terminal one.

        A broken stream is resumed where it ended: nothing is lost, nothing comes twice.
        """
        loop = asyncio.get_running_loop()
        last_id: str | None = None
        lost_at: float | None = None
        pause = FIRST_PAUSE
        while True:
            try:
                async with aclosing(self._events(job_id, last_id)) as events:
                    async for event in events:
                        lost_at, pause = None, FIRST_PAUSE
                        if event.event == "end":
                            return
                        if event.data and event.event in {"message", "gap"}:
                            last_id = event.id or last_id
                            update = _parsed(JobUpdate.model_validate_json, event.data)
                            yield update
                            if update.is_terminal:
                                return
            except _Unreachable:
                lost_at = lost_at or loop.time()
                if loop.time() - lost_at > OUTAGE:
                    raise
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def list_jobs(self, wanted: JobFilter) -> JobPage:
        """Return a page of jobs."""
        query: list[tuple[str, str]] = [
            ("include", "data,results,errors"),
            ("limit", str(wanted.limit)),
            *(("status", status) for status in wanted.statuses),
            *(("job_type", job_type) for job_type in wanted.job_types),
            *((f"metadata.{name}", value) for name, value in wanted.metadata.items()),
        ]
        for name, at in (("created_after", wanted.created_after), ("created_before", wanted.created_before)):
            if at is not None:
                query.append((name, at.isoformat()))
        if wanted.cursor is not None:
            query.append(("cursor", wanted.cursor))
        return _parsed(JobPage.model_validate, await self._json("GET", "/jobs", params=query))

    async def cancel(self, job_id: str, reason: str | None) -> Job:
        """Cancel a job; one that is cancelled already stays so."""
        body = {} if reason is None else {"reason": reason}
        return await self._of_job("POST", job_id, "/cancel", body=body)

    async def retry(self, job_id: str) -> Job:
        """Make a failed or cancelled job ready again."""
        return await self._of_job("POST", job_id, "/retry")

    async def pause(self, job_type: str, until: datetime | None, reason: str | None) -> dict[str, Any]:
        """Pause a job type, which is created; return it as JSON."""
        body: dict[str, Any] = {} if reason is None else {"reason": reason}
        if until is not None:
            body["until"] = until.isoformat()
        return _object(await self._json("POST", f"{_job_type(job_type)}/pause", body=body))

    async def resume(self, job_type: str) -> dict[str, Any]:
        """Resume a job type; return it as JSON."""
        try:
            return _object(await self._json("POST", f"{_job_type(job_type)}/resume"))
        except Refusal as refusal:
            if refusal.code is ExitCode.NOT_FOUND:
                message = f"no job type has the name {job_type!r}"
                raise Refusal(ExitCode.NOT_FOUND, message) from refusal
            raise

    async def stats(self) -> Stats:
        """Return how jobs stand now."""
        return _parsed(Stats.model_validate, await self._json("GET", "/stats"))

    async def document(self) -> dict[str, Any]:
        """Return the service's OpenAPI document."""
        return _object(await self._json("GET", "/openapi.json"))

    async def readiness(self) -> dict[str, Any]:
        """Return what the service says of itself when it is ready."""
        return _object(await self._json("GET", "/readyz"))

    async def _events(self, job_id: str, last_id: str | None) -> AsyncGenerator[ServerSentEvent]:
        """Yield the events of one connection; it ends when the service ends it."""
        headers = {"accept": "text/event-stream"}
        if last_id is not None:
            headers["last-event-id"] = last_id
        timeout = httpx.Timeout(SILENCE, connect=5, pool=None)
        url = f"{self._url}{_job(job_id)}/events"
        try:
            async with self._http.stream("GET", url, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    with _about(job_id):
                        raise self._refused(response)
                if response.status_code == httpx.codes.NO_CONTENT:
                    yield ServerSentEvent(event="end")
                    return
                async for event in EventSource(response).aiter_sse():
                    yield event
        except SSEError as error:
            raise self._stranger(str(error)) from error
        except httpx.RequestError as error:
            raise self._unreachable(error) from error

    async def _of_job(self, method: str, job_id: str, step: str = "", **content: Any) -> Job:
        """Make a request about one job, which answers with it."""
        with _about(job_id):
            return _parsed(Job.model_validate, await self._json(method, f"{_job(job_id)}{step}", **content))

    async def _json(self, method: str, path: str, *, params: Any = None, body: Any = None) -> Any:
        """Make a request and return the JSON of its answer."""
        content = None if body is None else _encoded(body)
        headers = {} if body is None else {"content-type": "application/json"}
        url = f"{self._url}{path}"
        try:
            response = await self._http.request(method, url, params=params, content=content, headers=headers)
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._refused(response)
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger("its answer is not JSON") from error

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call that changes nothing, while the service cannot be reached for a moment."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + OUTAGE
        pause = FIRST_PAUSE
        while True:
            try:
                return await call()
            except _Unreachable:
                if loop.time() + pause > ends:
                    raise
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    def _refused(self, response: httpx.Response) -> Exception:
        """Return the error that an answer other than success stands for."""
        status = response.status_code
        problem = _problem(response)
        if status in {401, 403}:
            detail = problem.get("detail", f"HTTP {status}")
            return Refusal(ExitCode.UNAUTHORIZED, f"{self._url} refuses: {detail}{_KEY_HINT}")
        if problem.get("code") == "too-many-waits":
            return _Full(ExitCode.UNREACHABLE, f"{self._url} cannot answer now: {problem.get('detail')}")
        if status in {502, 503, 504}:
            return _Unreachable(f"{self._url} cannot answer now: {problem.get('detail', f'HTTP {status}')}")
        if not problem:
            return self._stranger(f"HTTP {status} without a reason")
        code = _CODES.get(status, ExitCode.UNREACHABLE)
        if problem.get("code") == "not-found":
            return self._stranger("it does not know this path; it may be older than this command")
        places = [f"{place.get('pointer')}: {place.get('detail')}" for place in problem.get("errors", ())]
        return Refusal(code, "; ".join(places) or str(problem.get("detail", problem.get("title"))))

    def _stranger(self, why: str) -> Refusal:
        return Refusal(ExitCode.UNREACHABLE, f"{self._url} does not answer like a jdobb service: {why}")

    def _unreachable(self, error: httpx.RequestError) -> Refusal:
        said = str(error) or type(error).__name__
        return _Unreachable(f"cannot reach the service at {self._url}: {said}")


class _Unreachable(Refusal):
    """The service does not answer; it may do so in a moment."""

    def __init__(self, message: str) -> None:
        super().__init__(ExitCode.UNREACHABLE, message)


class _Full(Refusal):
    """The service answers, but has no room for another request that waits."""


_CODES = {
    **dict.fromkeys((400, 413, 414, 415, 422, 431), ExitCode.USAGE),
    404: ExitCode.NOT_FOUND,
    **dict.fromkeys((409, 429), ExitCode.CONFLICT),
}
_KEY_HINT = f"\nthe API key comes from {KEY_VARIABLE}"


@contextmanager
def _about(job_id: str) -> Iterator[None]:
    """Say which job a refusal is about."""
    try:
        yield
    except Refusal as refusal:
        if refusal.code is ExitCode.NOT_FOUND:
            raise JobNotFound(job_id) from refusal
        if refusal.code is ExitCode.CONFLICT:
            raise Refusal(refusal.code, f"job {job_id}: {refusal}") from refusal
        raise


def _parsed(parse: Callable[[Any], T], value: Any) -> T:
    """Return an answer as the library's value; what newer services add is left out."""
    try:
        return parse(value)
    except ValidationError as error:
        message = f"the service's answer is not a {error.title}: {error.errors()[0]['msg']}"
        raise Refusal(ExitCode.UNREACHABLE, message) from error


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(ExitCode.USAGE, f"the data cannot be sent as JSON: {error}") from error


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Return the problem details of an answer, empty when it has none."""
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return {}
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal(ExitCode.UNREACHABLE, "the service's answer is not a JSON object")
    return value


def _job(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _job_type(job_type: str) -> str:
    return f"/job-types/{quote(job_type, safe='')}"


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Refusal(ExitCode.USAGE, f"--url is not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        message = f"--url must look like http://127.0.0.1:8000, got {url!r}"
        raise Refusal(ExitCode.USAGE, message)
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Refusal(ExitCode.USAGE, f"{KEY_VARIABLE} must be visible ASCII characters")
    return key
