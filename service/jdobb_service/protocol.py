"""HTTP/1.1 with deadlines and limits, which uvicorn leaves to a proxy.

A client that never finishes a request is cut, and headers have a bound; both would otherwise hold memory and
sockets for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
from enum import Enum
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from jdobb_service.body_limits import BodyLimits
from jdobb_service.problems import CATALOGUE, MEDIA_TYPE, Problem
from jdobb_service.sse import TRANSPORT

HEADERS_WITHIN = 10.0
"""Seconds from connecting, or from the first byte of a further request, to the end of its headers."""
BODY_WITHIN = 10.0
"""Seconds for a body, plus the time that it takes at ``SLOWEST`` bytes a second."""
SLOWEST = 16_384
LAST_BODY_WITHIN = 2.0
"""Seconds that a body may still take when the service ends; then it would be cut without a word."""
MAX_HEADER_BYTES = 32_768
MAX_HEADERS = 100
MAX_URL_BYTES = 8192
_UPGRADE = b"upgrade"


class _Phase(Enum):
    HEADERS, BODY, IDLE = range(3)


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's parser-based protocol that also watches the clock and the size of headers."""

    bodies = BodyLimits(2**20)
    """The largest bodies that are read to their end; they bound the time for one of undeclared length."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin a connection; its first request must come soon."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = self._rings_at = math.inf
        self._served = False
        self._begin_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._disarm()
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a header that never ends are counted here, the parser keeps them back."""
        if self._phase is _Phase.IDLE:
            self._begin_headers()
        if self._phase is _Phase.HEADERS:
            if self._unparsed > 2 * MAX_HEADER_BYTES:
                self._refuse("headers-too-large")
                return
            self._unparsed += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("")

    def shutdown(self) -> None:
        """Let the request under way be answered; what is left of its body must come soon."""
        super().shutdown()
        if self._phase is _Phase.BODY:
            self._arm(LAST_BODY_WITHIN)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[TRANSPORT] = self.transport
        if self._phase is not _Phase.HEADERS:
            self._begin_headers()

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._stop("uri-too-long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES or len(self.headers) >= MAX_HEADERS:
            self._stop("headers-too-large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the application; its body must come at a fair pace."""
        if self._may_decline_upgrade():
            return
        self._phase, self._served = _Phase.BODY, True
        self._arm(BODY_WITHIN + self._declared() / SLOWEST)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        if self._may_decline_upgrade():
            return
        self._phase = _Phase.IDLE
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or what was refused while it was parsed."""
        del msg
        self._refuse(self._refused or "malformed-request")

    def _may_decline_upgrade(self) -> bool:
        """Tell whether the parser takes what follows these headers for another protocol's, and need not."""
        return self.parser.should_upgrade() and any(name == _UPGRADE for name, _ in self.headers)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Take a request that offers another protocol as if it did not, which RFC 9110 allows.

        Java's client offers HTTP/2 by default, with a body and all; the parser would drop that, and
        everything after it, too.
        """
        if not self._may_decline_upgrade():
            return
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name != _UPGRADE:
                head += [name, b": ", value, b"\r\n"]
        self.parser = HttpRequestParser(self)
        with contextlib.suppress(AttributeError):  # as uvicorn does; httptools before 0.6.3 has none
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._begin_headers()
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _begin_headers(self) -> None:
        self._phase, self._unparsed, self._header_bytes = _Phase.HEADERS, 0, 0
        self._refused: str | None = None
        self._arm(HEADERS_WITHIN)

    def _declared(self) -> int:
        for name, value in self.headers:
            if name == b"content-length" and value.isdigit():
                return min(int(value[:15]), self._most())
        return self._most() if any(name == b"transfer-encoding" for name, _ in self.headers) else 0

    def _most(self) -> int:
        return self.bodies.of(self.url.partition(b"?")[0].decode("latin-1"))

    def _arm(self, seconds: float) -> None:
        """Set the deadline; the timer stays as it is unless that would be too late, for it looks again."""
        self._deadline = self.loop.time() + seconds
        if self._deadline < self._rings_at:
            self._ring_at(self._deadline)

    def _disarm(self) -> None:
        self._deadline = math.inf

    def _ring_at(self, instant: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = self.loop.call_at(instant, self._ring), instant

    def _ring(self) -> None:
        self._timer, self._rings_at = None, math.inf
        if self._deadline <= self.loop.time():
            self._too_slow()
        elif self._deadline < math.inf:
            self._ring_at(self._deadline)

    def _too_slow(self) -> None:
        """Cut a client whose request does not arrive."""
        answering = self._served and not self.cycle.response_complete
        if answering:
            self.transport.abort()
        elif self._unparsed:
            self._refuse("request-timeout")
        else:
            self.transport.close()

    def _stop(self, code: str) -> None:
        """Make the parser give up; it then asks for the answer."""
        self._refused = code
        raise ValueError(code)

    def _refuse(self, code: str) -> None:
        """Answer with a problem and close; nothing else is read from this connection."""
        self._disarm()
        if self.transport.is_closing():
            return
        request_id = secrets.token_hex(12)
        body = Problem(code).body(request_id)
        head: list[Any] = [
            STATUS_LINE[CATALOGUE[code].status],
            b"content-type: %s\r\n" % MEDIA_TYPE.encode(),
            b"content-length: %d\r\n" % len(body),
            b"x-request-id: %s\r\n" % request_id.encode(),
            b"cache-control: no-store\r\nconnection: close\r\n\r\n",
        ]
        self.transport.write(b"".join([*head, body]))
        self.transport.close()
