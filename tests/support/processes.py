"""Real processes of the command, on free ports, ended by pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.ports import free_port
from tests.support.waiting import WITHIN

ROOT = Path(__file__).parents[2]
UNHURRIED = [
    sys.executable,
    "-c",
    """from jdobb_async_queue.worker import crew
from jdobb_service import ending
ending.LAST_RESORT = crew._TO_END = 600.0
from jdobb_service import supervisor
supervisor._MARGIN = 600.0
from jdobb_service.cli import main
main()""",
]
"""The command, which after the grace takes as long to end in good order as a slow machine needs."""


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a folder, with this environment and no other, until the block is left."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            end(process)


@contextmanager
def jdobb(*arguments: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``jdobb`` with these arguments until the block is left; its output goes to ``log``."""
    command = [sys.executable, "-m", "jdobb_service.cli", *arguments]
    with running(command, log=log, folder=ROOT, environment={**os.environ, **environment}) as process:
        yield process


def end(process: subprocess.Popen[bytes], patience: float = WITHIN) -> int:
    """End a process as an operator would, and return its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    return process.returncode


@contextmanager
def service(*arguments: str, log: Path, **environment: str) -> Iterator[httpx.Client]:
    """Run ``jdobb serve`` on a free port and yield a client of it, once it answers."""
    port = free_port()
    with (
        jdobb("serve", *arguments, "--port", str(port), log=log, **environment) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN) as client,
    ):
        wait_until_ready(client, process, log)
        yield client


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the service says that it is ready."""
    ends = time.monotonic() + WITHIN
    while True:
        assert process.poll() is None, log.read_text()
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.05)
