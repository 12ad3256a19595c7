"""What a browser asks: files of an origin of their own, and a service that can be started again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.support.ports import free_port
from tests.support.processes import jdobb, wait_until_ready


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def http_server(handler: type[BaseHTTPRequestHandler] | partial, port: int = 0) -> Iterator[int]:
    """Serve on loopback until the block is left."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Service:
    """A process of the service on an SQLite file; it can be stopped and started on the same port.

    ``arguments`` are those of ``jdobb serve``, ``settings`` its environment.
    """

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.backend_url = f"sqlite:///{folder / 'jobs.db'}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder, self._arguments, self._settings = folder, arguments, settings
        self._stack = ExitStack()

    def start(self) -> None:
        log = self._folder / "service.log"
        settings = {"JDOBB_BACKEND_URL": self.backend_url, **self._settings}
        process = self._stack.enter_context(
            jdobb("serve", *self._arguments, "--port", str(self.port), log=log, **settings)
        )
        with httpx.Client(base_url=self.url) as client:
            wait_until_ready(client, process, log)

    def stop(self) -> None:
        self._stack.close()
