"""The load of the measures over HTTP: requests over keep-alive connections, and readers of event streams."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import cast

from bench.environments import Unavailable

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb'"id":"([^"]+)"')
_TICK = re.compile(rb'"message": ?"(\d{19})"')
_CONNECTING = 100
"""Streams that are being opened at once."""


class Requests(asyncio.Protocol):
    """Sends one request after the other over one connection, and notes how long each took."""

    def __init__(self, requests: Iterator[bytes], delays: list[float], answers: list[bytes]) -> None:
        self._requests, self._delays, self._answers = requests, delays, answers
        self._unread = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Go on when the answer is whole."""
        self._unread += data
        head, found, rest = self._unread.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        if length is None or not head.startswith(b"HTTP/1.1 20"):
            self.connection_lost(Unavailable(f"it answered {head.splitlines()[0].decode()}"))
        elif len(rest) >= int(length[1]):
            self._delays.append(time.perf_counter() - self._sent)
            self._answers.append(rest)
            self._unread = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """End with what went wrong."""
        if not self.done.done():
            self.done.set_exception(exc or Unavailable("it closed the connection"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


class Stream(asyncio.Protocol):
    """Reads one event stream, and notes how old each message is when it comes."""

    def __init__(self, path: str, delays: list[float], opened: asyncio.Semaphore) -> None:
        self._path, self._delays, self._opened = path, delays, opened
        self._unread = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self.transport = cast("asyncio.Transport", transport)
        head = f"GET {self._path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n"
        self.transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        """Take the events that are whole."""
        now = time.time_ns()
        if not self._is_open and data.startswith(b"HTTP/1.1 200"):
            self._is_open = True
            self._opened.release()
        events, _, self._unread = (self._unread + data).rpartition(b"\n")
        self._delays += [(now - int(instant)) / 1e6 for instant in _TICK.findall(events)]


def get(path: str) -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """Return a request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def send(port: int, requests: list[bytes], connections: int) -> tuple[float, list[float], list[bytes]]:
    """Send them all, and return the seconds it took, the seconds of each, and the answers' bodies.

    Raises ``Unavailable`` for an answer that is no success.
    """
    left, delays, answers = iter(requests), list[float](), list[bytes]()
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    made = [
        (await loop.create_connection(partial(Requests, left, delays, answers), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for protocol in made))
    return time.perf_counter() - begun, delays, answers


async def open_streams(port: int, paths: list[str], delays: list[float]) -> list[Stream]:
    """Open a stream for each path; return when all have begun. Messages' ages go to ``delays``, in ms."""
    loop = asyncio.get_running_loop()
    opened = asyncio.Semaphore(0)
    streams = []
    for begin in range(0, len(paths), _CONNECTING):
        share = paths[begin : begin + _CONNECTING]
        for path in share:
            _, stream = await loop.create_connection(partial(Stream, path, delays, opened), "127.0.0.1", port)
            streams.append(stream)
        try:
            async with asyncio.timeout(60):
                for _ in share:
                    await opened.acquire()
        except TimeoutError:
            raise Unavailable("not all streams were opened within a minute") from None
    return streams


def ids(answers: list[bytes]) -> list[str]:
    """Return the ids of the jobs in some answers."""
    return [found[1].decode() for answer in answers if (found := _ID.search(answer))]
