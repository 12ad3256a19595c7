"""What a process and its parent say to each other, over a pipe.

Orders are no signals: those also come from a terminal or a service manager, which send them to every process
of a group, and then a child could not tell a repeated wish from one that came over two ways.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Protocol

from jdobb_service.ending import OK

READY = b"ready"
"""From a child: it answers requests."""
STOP, HURRY = b"stop", b"hurry"
"""To a child. A parent that is gone has said stop."""


class Obedient(Protocol):
    """What can be ended."""

    def close(self) -> None:
        """Begin to end; once is enough."""

    def hurry(self) -> None:
        """End without waiting."""


class Orders:
    """The parent's orders, followed in a thread: neither imports nor a blocked event loop keep them back."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._server: Obedient | None = None
        threading.Thread(target=self._follow, name="orders", daemon=True).start()

    def go_to(self, server: Obedient) -> None:
        """Let a server end by the orders. Before there is one nothing has begun, and the process ends."""
        self._server = server

    def report_ready(self) -> None:
        """Tell the parent that requests are answered; one that is gone need not know."""
        with contextlib.suppress(OSError):
            self._line.send_bytes(READY)

    def _follow(self) -> None:
        for order in self._heard():
            if self._server is None:
                os._exit(OK)
            if order == HURRY:
                self._server.hurry()
            else:
                self._server.close()

    def _heard(self) -> Iterator[bytes]:
        """Yield the orders; the last one when the parent's end is closed."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                yield self._line.recv_bytes()
        yield STOP
