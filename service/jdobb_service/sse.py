"""Event streams: every update of a job once and in order, also over reconnects, until its end.

The life of a stream::

    connect ── who may ── which job ── last id? ─┬─ none: a snapshot of the job now, its id the latest seq
                                                 ├─ at or beyond the end: 204, the browser stops
                                                 └─ n: everything after n (trimmed: a `gap` with a snapshot)
    then every update as it is published ── terminal: `end`, clean close
    meanwhile: a comment every 15 s · the client leaves: all is let go · the process closes:
    `server.shutdown`, clean close · a reader that takes nothing for 30 s: cut

Nothing is queued for a reader. The job's update log is the truth, and a stream is only a place in it: a slow
reader lags and reads on from there, at the cost of one page of the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Generic, TypeVar, cast

import anyio
import structlog
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from jdobb_async_queue import BackendError, JobNotFound, JobStatus, JobUpdate
from jdobb_service import examples
from jdobb_service.masking import shown_path
from jdobb_service.operations import SCHEMAS, Call
from jdobb_service.schemas.events import ServerShutdown, StreamEnd

HEARTBEAT = 15
SEND_TIMEOUT = 30.0
MAX_AGE = 3600.0
"""Seconds after which a stream is closed without an end: the client connects again and goes on."""
_FAREWELL = 3.0
_RETRY, _RETRY_JITTER = 2000, 1000
_RETRY_WHEN_FULL = 30_000
_ID = re.compile(r"[0-9]{1,16}")
_MAX_ID = 2**53

TRANSPORT = "jdobb.transport"
"""Where in the scope the server may put the connection's transport."""
SEND_BUFFER = 32_768
"""Bytes that the kernel may hold for a reader that takes nothing; the default is megabytes for each.

Only for streams, whose events are small: a large answer would come slowly through it.
"""

T = TypeVar("T")

STREAM: dict[str, Any] = {
    "text/event-stream": {
        "example": examples.EVENT,
        "schema": {
            "type": "object",
            "description": "One server-sent event, as parsers hand it over.",
            "required": ["data"],
            "properties": {
                "id": {
                    "type": "string",
                    "description": "The update's seq; opaque with several jobs; none with job types and with "
                    "`server.shutdown`.",
                },
                "event": {
                    "type": "string",
                    "enum": ["message", "gap", "end", "server.shutdown"],
                    "default": "message",
                    "description": "`message` (unnamed): an update. `gap`: older updates are gone, this "
                    "is the job now. `end`: nothing can follow. `server.shutdown`: connect again.",
                },
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {
                        "anyOf": [
                            {"$ref": SCHEMAS + "JobUpdate"},
                            {"$ref": SCHEMAS + "StreamEnd"},
                            {"$ref": SCHEMAS + "FeedGap"},
                            {"$ref": SCHEMAS + "ServerShutdown"},
                        ]
                    },
                },
            },
        },
    }
}

log = structlog.get_logger("jdobb_service.sse")


def last_event_id(call: Call) -> int | None:
    """Return the seq that the client has seen last, None for a new stream.

    The header wins over ``?last_event_id``; one that is no seq counts as none.
    """
    given = call.header(b"last-event-id")
    if given is None:
        given = call.query.get("last_event_id", "")
    return int(given) if _ID.fullmatch(given) and int(given) < _MAX_ID else None


class EventStream(EventSourceResponse):
    """The response that streams ``events``, each the bytes of one or more whole events."""

    def __init__(self, call: Call, events: AsyncGenerator[bytes, None]) -> None:
        self._slots, self._caller = call.state.streams, call.caller.id
        super().__init__(
            events,
            ping=HEARTBEAT,
            sep="\n",
            ping_message_factory=_heartbeat,
            send_timeout=SEND_TIMEOUT,
            shutdown_event=anyio.Event(),
            shutdown_grace_period=_FAREWELL,
            headers={"Cache-Control": "no-store, no-transform"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream, if there is a place for one more; else ask the client to come back later.

        That is not an error status, because a browser never connects again after one.
        """
        with self._slots.take(self._caller) as taken:
            if not taken:
                await self.body_iterator.aclose()  # type: ignore[attr-defined]  # an async generator
                self.body_iterator = _full()
            transport = cast("asyncio.Transport | None", scope.get(TRANSPORT))
            if transport is not None:
                _narrow(transport)
            try:
                await super().__call__(scope, receive, send)
            except SendTimeoutError:
                log.info("reader took nothing", path=shown_path(scope["path"]), seconds=SEND_TIMEOUT)
                if transport is not None:
                    transport.abort()
                    await asyncio.sleep(0)  # until the server knows of it


def _narrow(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it has been closed meanwhile
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


async def _full() -> AsyncIterator[bytes]:
    yield b": too many streams, come back later\nretry: %d\n\n" % _RETRY_WHEN_FULL


def greeting() -> bytes:
    """Return what every stream begins with: how long to wait before the next connect."""
    return b"retry: %d\n\n" % (_RETRY + random.randrange(_RETRY_JITTER))  # noqa: S311 - spreads reconnects


async def job_events(call: Call, first: JobUpdate, after: int | None) -> AsyncGenerator[bytes, None]:
    """Yield a job's updates; ``first`` is its state now, ``after`` the seq that the client has seen last."""
    yield greeting()
    last: JobUpdate | None = None
    if after is None:
        last, after = first, first.seq
        yield update_event(first, b"%d" % first.seq)
    live = Live(call, call.state.broadcaster.subscribe(first.job_id, after=after))
    if last is None or not last.is_terminal:
        async with contextlib.aclosing(live.items()) as updates:
            async for last in updates:
                yield update_event(last, b"%d" % last.seq)
    if live.ended or (last is not None and last.is_terminal):
        status = last.status if last is not None and last.is_terminal else None
        seq = after if last is None else last.seq
        yield end_event(first.job_id, seq, status, b"%d" % seq)
    else:
        for farewell in farewells(call):
            yield farewell


class Live(Generic[T]):
    """A subscription that also ends when the process closes, the stream is old, or the backend is away.

    ``ended`` tells that nothing can follow: every job is terminal, or was removed.
    """

    def __init__(self, call: Call, source: AsyncIterator[T]) -> None:
        self._call, self._closing = call, call.state.closing
        self._source = aiter(source)
        self.ended = False

    async def items(self) -> AsyncGenerator[T, None]:
        """Yield what the subscription yields."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + MAX_AGE
        closing = asyncio.ensure_future(self._closing.wait())
        coming: asyncio.Future[tuple[T] | None] | None = None
        try:
            while True:
                coming = asyncio.ensure_future(self._next())
                left = max(0.0, ends - loop.time())
                await asyncio.wait([coming, closing], timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    return
                item = coming.result()
                if item is None:
                    return
                yield item[0]
        finally:
            closing.cancel()
            if coming is not None and coming.done():
                await self._source.aclose()  # type: ignore[attr-defined]  # an async generator
            elif coming is not None:
                coming.cancel()  # which ends the generator where it waits

    async def _next(self) -> tuple[T] | None:
        try:
            return (await anext(self._source),)
        except (StopAsyncIteration, JobNotFound):
            self.ended = True
        except BackendError as error:
            path = shown_path(self._call.scope["path"])
            self._call.state.metrics.backend_failed("stream")
            log.warning("stream lost its backend", path=path, error=str(error))
        return None


def update_event(update: JobUpdate, id: bytes | None) -> bytes:
    """Return the event of an update: the default one, or ``gap``."""
    return event(update, id, b"event: gap\n" if update.gap else b"")


def end_event(job_id: str, seq: int, status: JobStatus | None, id: bytes) -> bytes:
    """Return the event that says that nothing can follow for a job."""
    return event(StreamEnd(job_id=job_id, seq=seq, status=status), id, b"event: end\n")


def farewells(call: Call) -> Iterator[bytes]:
    """Yield what a stream says before it is closed without an end."""
    if call.state.closing.is_set:
        yield event(ServerShutdown(), None, b"event: server.shutdown\n")


def event(data: BaseModel, id: bytes | None, name: bytes = b"") -> bytes:
    """Return one event; JSON text holds no line break, so it is one line of data."""
    place = b"" if id is None else b"id: %s\n" % id
    return b"%s%sdata: %s\n\n" % (place, name, data.__pydantic_serializer__.to_json(data))


def _heartbeat() -> ServerSentEvent:
    return ServerSentEvent(comment="", sep="\n")
