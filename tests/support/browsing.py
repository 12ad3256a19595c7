"""Servers on loopback: the files that a browser asks for, or what stands in the place of a service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer


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


@contextmanager
def below_prefix(upstream: int, prefix: str) -> Iterator[str]:
    """Serve a service below a path, as a reverse proxy does that strips it; yield the origin.

    Streams pass as they come. The path without its slash leads to the one with it.
    """

    class Stripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names of the base class

        def _pass_on(self) -> None:
            self.close_connection = True
            if self.path == prefix:
                self.send_response(308)
                self.send_header("Location", f"{prefix}/")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            connection = HTTPConnection("127.0.0.1", upstream)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            with closing(connection), suppress(BrokenPipeError, ConnectionResetError):
                connection.request(self.command, self.path.removeprefix(prefix), body, headers)
                answer = connection.getresponse()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"connection", "transfer-encoding"}:
                        self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                while some := answer.read1(65536):
                    self.wfile.write(some)
                    self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    with http_server(Stripping) as port:
        yield f"http://127.0.0.1:{port}"
