"""The connection to a service: requests, and what their refusals mean."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from pydantic import ValidationError

from jdobb_async_queue import JobNotFound
from jdobb_service.cli.exits import ExitCode, Refusal

KEY_VARIABLE = "JDOBB_API_KEY"
LONG_POLL = 25.0
"""Seconds that one request waits for a job; proxies often cut after 30."""
SILENCE = 60.0
"""Seconds without a sign of life after which a stream is opened anew; the service comments every 15."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before trying again; they double."""
OUTAGE = 10.0
"""Seconds that a wait goes on without reaching the service."""

T = TypeVar("T")


class Connection:
    """Speaks HTTP to a service; errors are ``Refusal``."""

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

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def json(self, method: str, path: str, *, params: Any = None, body: Any = None) -> Any:
        """Make a request and return the JSON of its answer."""
        content = None if body is None else _encoded(body)
        headers = {} if body is None else {"content-type": "application/json"}
        response = await self.request(method, path, params=params, content=content, headers=headers)
        return self.decoded(response)

    def decoded(self, response: httpx.Response) -> Any:
        """Return the JSON of an answer."""
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger("its answer is not JSON") from error

    async def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Make a request and return its answer, which is a success."""
        try:
            response = await self._http.request(method, f"{self._url}{path}", **content)
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._refused(response)
        return response

    async def events(
        self, path: str, params: httpx.QueryParams, last_id: str | None
    ) -> AsyncGenerator[ServerSentEvent]:
        """Yield the events of one stream, which ends when the service ends it; ``closed`` if for good."""
        headers = {"accept": "text/event-stream"}
        if last_id is not None:
            headers["last-event-id"] = last_id
        timeout = httpx.Timeout(SILENCE, connect=5, pool=None)
        url = f"{self._url}{path}"
        try:
            async with self._http.stream(
                "GET", url, params=params, headers=headers, timeout=timeout
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._refused(response)
                if response.status_code == httpx.codes.NO_CONTENT:
                    yield ServerSentEvent(event="closed")
                    return
                async for event in EventSource(response).aiter_sse():
                    yield event
        except SSEError as error:
            raise self._stranger(str(error)) from error
        except httpx.RequestError as error:
            raise self._unreachable(error) from error

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call that changes nothing, while the service cannot be reached for a moment."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + OUTAGE
        pause = FIRST_PAUSE
        while True:
            try:
                return await call()
            except Unreachable:
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
            return Full(ExitCode.UNREACHABLE, f"{self._url} cannot answer now: {problem.get('detail')}")
        if status in {502, 503, 504}:
            return Unreachable(f"{self._url} cannot answer now: {problem.get('detail', f'HTTP {status}')}")
        if not problem:
            return self._stranger(f"HTTP {status} without a reason")
        code = _CODES.get(status, ExitCode.UNREACHABLE)
        if problem.get("code") == "not-found":
            return self._stranger("it does not know this path; it may be older than this command")
        places = [f"{place.get('pointer')}: {place.get('detail')}" for place in problem.get("errors", ())]
        kind = UnknownJobType if problem.get("code") == "unknown-job-type" else Refusal
        return kind(code, "; ".join(places) or str(problem.get("detail", problem.get("title"))))

    def _stranger(self, why: str) -> Refusal:
        return Refusal(ExitCode.UNREACHABLE, f"{self._url} does not answer like a jdobb service: {why}")

    def _unreachable(self, error: httpx.RequestError) -> Refusal:
        said = str(error) or type(error).__name__
        in_doubt = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        return Unreachable(f"cannot reach the service at {self._url}: {said}", in_doubt=in_doubt)


class Unreachable(Refusal):
    """The service does not answer; it may do so in a moment."""

    def __init__(self, message: str, *, in_doubt: bool = True) -> None:
        super().__init__(ExitCode.UNREACHABLE, message, in_doubt=in_doubt)


class UnknownJobType(Refusal):
    """The deployment takes known job types only."""


class Full(Refusal):
    """The service answers, but has no room for another request that waits."""


_CODES = {
    **dict.fromkeys((400, 413, 414, 415, 422, 431), ExitCode.USAGE),
    404: ExitCode.NOT_FOUND,
    **dict.fromkeys((409, 429), ExitCode.CONFLICT),
}
_KEY_HINT = f"\nthe API key comes from {KEY_VARIABLE}"


@contextmanager
def about_job(job_id: str) -> Iterator[None]:
    """Say which job a refusal is about."""
    try:
        yield
    except Refusal as refusal:
        if refusal.code is ExitCode.NOT_FOUND:
            raise JobNotFound(job_id) from refusal
        if refusal.code is ExitCode.CONFLICT:
            raise Refusal(refusal.code, f"job {job_id}: {refusal}") from refusal
        raise


def parsed(parse: Callable[[Any], T], value: Any) -> T:
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


def key_of_environment() -> str | None:
    """Return the API key that the environment holds, None when there is none."""
    return os.environ.get(KEY_VARIABLE) or None
