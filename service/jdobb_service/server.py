"""Serving an application from the command line: the socket, the signals, the end within its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from jdobb_async_queue import BackendUnavailable, JobQueueError, JobRouter
from jdobb_service import collector
from jdobb_service.app import create_app
from jdobb_service.banner import banner
from jdobb_service.body_limits import BodyLimits
from jdobb_service.ending import FAILED, LAST_RESORT, OK, UNREACHABLE, USAGE, refuse
from jdobb_service.listening import CannotServe, check_exposure, listen, url_of
from jdobb_service.logs import configure_logging
from jdobb_service.protocol import GuardedHttp
from jdobb_service.settings import InvalidSettings, Settings
from jdobb_service.state import ServiceState

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FAREWELL = 3
_KEEP_ALIVE = 30

log = structlog.get_logger("jdobb_service.server")


def serve(settings: Settings, routers: Sequence[JobRouter] = ()) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code.

    It is 0, 1 failed to start, 2 refused to, 5 the store cannot be reached.

    From the signal on it takes ``shutdown_grace`` seconds and at most five more.
    """
    configure_logging(settings)
    try:
        check_exposure(settings)
        app = create_app(settings, routers)
    except (CannotServe, InvalidSettings, ModuleNotFoundError, ValueError) as error:
        return refuse(error, USAGE)
    try:
        listener = listen(settings)
    except CannotServe as error:
        return refuse(error, FAILED)
    server = Server(app, settings, listener, routers)
    server.run(sockets=[listener])
    return server.exit_code


class Server(uvicorn.Server):
    """uvicorn's server that tells the application at once when it is to close, and keeps the time."""

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        listener: socket.socket,
        routers: Sequence[JobRouter] = (),
    ) -> None:
        bodies = BodyLimits.of_payload(settings.max_payload_bytes)
        protocol = type("Http", (GuardedHttp,), {"bodies": bodies})
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_FAREWELL,
        )
        super().__init__(config)
        self._state: ServiceState = app.state.service
        self._settings, self._listener, self._routers = settings, listener, routers
        self._loop: asyncio.AbstractEventLoop | None = None
        self.exit_code = OK

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in a process of its own."""
        collector.relax()
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the queue, start the application, and say where it is."""
        self._loop = asyncio.get_running_loop()
        if self.should_exit:
            self._state.closing.set()
        try:
            await self._state.open()
        except (JobQueueError, OSError, ValueError) as error:
            if not self.should_exit:
                is_away = isinstance(error, BackendUnavailable)
                self.exit_code = refuse(error, UNREACHABLE if is_away else FAILED)
            self.should_exit = True
            return
        await super().startup(sockets)
        self.announce()

    def announce(self) -> None:
        """Say where it is, and what to try."""
        print(banner(self._settings, url_of(self._listener), self._routers), flush=True)  # noqa: T201 - for the person who started it

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let streams, waits and the worker end, then connections, then the application."""
        self._state.closing.set()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves this out then; it is short for an application in a hurry
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to close; a second signal hurries."""
        del sig, frame
        if self.should_exit:
            self.hurry()
        else:
            self.close()

    def close(self) -> None:
        """Begin to close, once; from any thread."""
        if self.should_exit:
            return
        self.should_exit = True
        self._on_loop(self._state.closing.set)
        last = threading.Timer(self._settings.shutdown_grace + LAST_RESORT, _end_anyhow)
        last.daemon = True
        last.start()

    def hurry(self) -> None:
        """Close without waiting for anything: running jobs are given back."""
        self.force_exit = True
        self._on_loop(self._state.closing.hurry)

    def _on_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(call)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, and leave the exit code to ``serve`` instead of dying of them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self.handle_exit) for number in _SIGNALS
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_anyhow() -> None:
    log.error("ended by force: something did not stop in time")
    sys.stderr.flush()
    os._exit(FAILED)
