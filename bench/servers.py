"""Servers that are measured over HTTP, each in a process of its own, and what they cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.environments import ROOT, Unavailable
from tests.support.ports import free_port

_PATIENCE = 60.0
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Server:
    """A running server; ``ready_after`` is the seconds from its start to its first good answer."""

    port: int
    pid: int
    ready_after: float


def cpu_of(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = (
        Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    )
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process has resident."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE


@contextmanager
def ours(url: str, folder: Path, *options: str, **settings: str) -> Iterator[Server]:
    """Run our service over a store, with the handlers of ``bench.handlers``; settings are ``JDOBB_`` ones."""
    environment = {f"JDOBB_{name.upper()}": value for name, value in settings.items()}
    command = ["-m", "jdobb_service.cli", "serve", "bench.handlers:router", "--backend-url", url, *options]
    with _serving([*command, "--port"], folder, "/readyz", environment) as server:
        yield server


@contextmanager
def reference(name: str, folder: Path) -> Iterator[Server]:
    """Run a module of ``bench.references``."""
    with _serving(["-m", f"bench.references.{name}"], folder, "/", {}) as server:
        yield server


@contextmanager
def _serving(arguments: list[str], folder: Path, path: str, environment: dict[str, str]) -> Iterator[Server]:
    port = free_port()
    begun = time.perf_counter()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments, str(port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}{path}", folder / "server.log")
        yield Server(port, process.pid, time.perf_counter() - begun)
    finally:
        process.kill()  # nothing that it has is needed any more
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server on loopback
                return
        except urllib.error.HTTPError as error:
            if error.code == 404:  # noqa: PLR2004 - it serves, if not this path
                return
        except OSError:
            pass
        time.sleep(0.01)
    lines = log.read_text(errors="replace").strip().splitlines() or [""]
    raise Unavailable(f"the server did not get ready: {lines[-1]}")
