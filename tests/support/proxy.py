"""A TCP proxy that does to a connection what networks do: delay, cut, lose replies, fall silent."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

from typing_extensions import Self


class Proxy:
    """Stands between clients and the server on ``port``; clients connect to ``self.port``.

    What it shall do is told while it runs:

    ``delay``            seconds that every reply waits
    ``lose_replies(n)``  the server runs the next n requests that hold ``marker``; their replies are lost and
                         the connections are cut
    ``cut_reply(n)``     of the next such reply only the first n bytes arrive, then the connection is cut
    ``fall_silent()``    connections stay, new ones are accepted, and nothing passes any more
    ``strand()``         connections that are open now stay, and nothing passes through them ever again; new
                         ones are served: the peer of the old ones has gone without a word
    ``cut()``            all connections are cut
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.lost = 0
        self.accepted = 0
        self.requests = 0
        self.delay = 0.0
        self._server_port = port
        self._server: asyncio.Server | None = None
        self._losing, self._marker, self._then_silent = 0, b"", False
        self._cutting: int | None = None
        self._links: set[_Link] = set()
        self._passes = asyncio.Event()
        self._passes.set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self._passes.set()
        while self._links:
            await asyncio.sleep(0.001)
            self.cut()
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._links)

    def lose_replies(self, count: int = 1, *, marker: bytes = b"EVAL", then_silent: bool = False) -> None:
        """Lose the next replies to requests with ``marker``; error replies pass. See the class."""
        self._losing, self._marker, self._then_silent = count, marker, then_silent

    def cut_reply(self, after: int, *, marker: bytes = b"EVAL") -> None:
        """Cut the connection in the middle of a reply."""
        self._losing, self._marker, self._cutting = 1, marker, after

    def fall_silent(self) -> None:
        """Let nothing pass until ``heal``."""
        self._passes.clear()

    def heal(self) -> None:
        """Let everything pass that connections still hold, and all that is new."""
        self._passes.set()

    def strand(self) -> None:
        """Serve the connections that are open now no more."""
        for link in self._links:
            link.is_stranded = True

    def cut(self) -> None:
        """Cut all connections."""
        for link in list(self._links):
            link.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run(self._server_port)
        finally:
            self._links.discard(link)

    async def passes(self) -> None:
        """Wait while the proxy is silent."""
        await self._passes.wait()

    def is_doomed(self, request: bytes) -> bool:
        """Tell whether the reply to a request is one to lose."""
        return self._losing > 0 and self._marker in request

    def take_reply(self, reply: bytes) -> bytes | None:
        """Return what arrives of a doomed reply before the cut, None when all of it may pass."""
        if reply.startswith(b"-") or self._losing <= 0:
            return None
        self._losing -= 1
        self.lost += 1
        if self._then_silent:
            self.fall_silent()
        cutting, self._cutting = self._cutting, None
        return reply[: cutting or 0]


class _Link:
    """One client's connection, with the one to the server."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._reader, self._writers = proxy, reader, [writer]
        self.is_stranded = False
        self._doomed = False
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, server_port: int) -> None:
        client = self._writers[0]
        try:
            await self._proxy.passes()
            from_server, server = await asyncio.open_connection("127.0.0.1", server_port)
        except OSError:
            client.transport.abort()
            return
        self._writers.append(server)
        self._tasks = [
            asyncio.ensure_future(self._requests(self._reader, server)),
            asyncio.ensure_future(self._replies(from_server, client)),
        ]
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self.cut()
        await asyncio.wait(self._tasks)
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(262_144):
                self._proxy.requests += 1
                await self._proxy.passes()
                self._doomed = self._doomed or self._proxy.is_doomed(data)
                if not self.is_stranded:
                    writer.write(data)

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(262_144):
                if self._doomed and (left := self._proxy.take_reply(data)) is not None:
                    writer.write(left)
                    if left:
                        await writer.drain()
                        await asyncio.sleep(0.01)  # aborting throws away what the socket has not taken
                    return
                self._doomed = False
                if self._proxy.delay:
                    await asyncio.sleep(self._proxy.delay)
                await self._proxy.passes()
                if not self.is_stranded:
                    writer.write(data)
