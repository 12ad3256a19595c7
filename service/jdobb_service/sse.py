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
from typing import Any, TypeVar, cast

import structlog
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from jdobb_async_queue import BackendError, JobNotFound, JobStatus, JobUpdate
from jdobb_service import examples
from jdobb_service.closing import Closing
from jdobb_service.masking import shown_path
from jdobb_service.operations import SCHEMAS, Call
from jdobb_service.schemas.events import ServerShutdown, StreamEnd
from jdobb_service.waiting import disconnected

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

_HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
_COMMENT = b": \n\n"

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


class EventStream(Response):
    """The response that streams ``events``, each the bytes of one or more whole events."""

    media_type = "text/event-stream"

    def __init__(self, call: Call, events: AsyncGenerator[bytes, None]) -> None:
        self._call, self._events = call, events
        self.status_code, self.background = 200, None
        self.init_headers(_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream, if there is a place for one more; else ask the client to come back later.

        That is not an error status, because a browser never connects again after one.
        """
        with self._call.state.streams.take(self._call.caller.id) as taken:
            events = self._events if taken else _full()
            reader = _Reader(scope, send)
            try:
                await reader.send(
                    {
                        "type": "http.response.start",
                        "status": self.status_code,
                        "headers": self.raw_headers,
                    }
                )
                await self._stream(events, receive, reader)
                await reader.send({"type": "http.response.body", "body": b"", "more_body": False})
            except _TookNothing:
                await asyncio.sleep(0)  # until the server knows that the connection is cut

    async def _stream(self, events: AsyncGenerator[bytes, None], receive: Receive, reader: _Reader) -> None:
        """Send what there is until it ends, the client leaves, the process closes, or the stream is old."""
        closing = self._call.state.closing
        sending = asyncio.ensure_future(self._send(events, reader))
        leaving = asyncio.ensure_future(disconnected(receive))
        leaving.add_done_callback(lambda _: sending.cancel())
        aging = asyncio.get_running_loop().call_later(MAX_AGE, sending.cancel)
        try:
            with closing.calling(sending.cancel):
                while not (await asyncio.wait([sending], timeout=HEARTBEAT))[0]:
                    await self._comment(sending, reader)
            is_over = not sending.cancelled() and sending.result()
            if leaving.done():
                leaving.result()
            elif not is_over:
                for farewell in farewells(closing):
                    await reader.take(farewell, within=_FAREWELL)
        finally:
            sending.cancel()
            leaving.cancel()
            aging.cancel()

    async def _comment(self, sending: asyncio.Future[bool], reader: _Reader) -> None:
        """Send a comment, unless the sending of events ends first: a reader may take nothing for long."""
        comment = asyncio.ensure_future(reader.take(_COMMENT))
        try:
            either: tuple[asyncio.Future[Any], ...] = (sending, comment)
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if comment.done():
                comment.result()
        finally:
            comment.cancel()

    async def _send(self, events: AsyncGenerator[bytes, None], reader: _Reader) -> bool:
        """Send the events; tell whether it was all of them, and not the backend that went away."""
        try:
            async with contextlib.aclosing(events):
                async for some in events:
                    await reader.take(some)
        except BackendError as error:
            self._call.state.metrics.backend_failed("stream")
            path = shown_path(self._call.scope["path"])
            log.warning("stream lost its backend", path=path, error=str(error))
            return False
        return True


class _TookNothing(Exception):  # noqa: N818 - nothing of ours went wrong
    """The client had no room for what was sent."""


class _Reader:
    """The client of a stream; one that takes nothing for too long is cut."""

    __slots__ = ("_path", "_send", "_transport")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._path, self._send = scope["path"], send
        self._transport = cast("asyncio.Transport | None", scope.get(TRANSPORT))
        if self._transport is not None:
            _narrow(self._transport)

    async def take(self, events: bytes, within: float | None = None) -> None:
        """Send some events."""
        await self.send({"type": "http.response.body", "body": events, "more_body": True}, within)

    async def send(self, message: Message, within: float | None = None) -> None:
        """Send a part of the response. Raises ``_TookNothing`` when there was no room for it in time."""
        patience = SEND_TIMEOUT if within is None else within
        try:
            async with asyncio.timeout(patience):
                await self._send(message)
        except TimeoutError:
            log.info("reader took nothing", path=shown_path(self._path), seconds=patience)
            if self._transport is not None:
                self._transport.abort()
            raise _TookNothing from None


def _narrow(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it has been closed meanwhile
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


async def _full() -> AsyncGenerator[bytes, None]:
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
    if last is None or not last.is_terminal:
        with contextlib.suppress(JobNotFound):
            async with watching(call.state.broadcaster.subscribe(first.job_id, after=after)) as updates:
                async for last in updates:
                    yield update_event(last, b"%d" % last.seq)
    status = last.status if last is not None and last.is_terminal else None
    seq = after if last is None else last.seq
    yield end_event(first.job_id, seq, status, b"%d" % seq)


def watching(updates: AsyncIterator[T]) -> contextlib.aclosing[AsyncGenerator[T, None]]:
    """End a subscription, which is an async generator, where its block is left."""
    return contextlib.aclosing(cast("AsyncGenerator[T, None]", updates))


def update_event(update: JobUpdate, id: bytes | None) -> bytes:
    """Return the event of an update: the default one, or ``gap``."""
    return event(update, id, b"event: gap\n" if update.gap else b"")


def end_event(job_id: str, seq: int, status: JobStatus | None, id: bytes) -> bytes:
    """Return the event that says that nothing can follow for a job."""
    return event(StreamEnd(job_id=job_id, seq=seq, status=status), id, b"event: end\n")


def farewells(closing: Closing) -> Iterator[bytes]:
    """Yield what a stream says before it is closed without an end."""
    if closing.is_set:
        yield event(ServerShutdown(), None, b"event: server.shutdown\n")


def event(data: BaseModel, id: bytes | None, name: bytes = b"") -> bytes:
    """Return one event; JSON text holds no line break, so it is one line of data."""
    place = b"" if id is None else b"id: %s\n" % id
    return b"%s%sdata: %s\n\n" % (place, name, data.__pydantic_serializer__.to_json(data))
