"""Running the command: as a process of its own, or in this one, which is quicker; in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from jdobb_service.cli.application import make_app
from tests.support.waiting import WITHIN

COMMAND = [sys.executable, "-m", "jdobb_service.cli"]
PERSISTENT = [
    sys.executable,
    "-c",
    """from jdobb_service.cli.clients import connection
connection.OUTAGE = 600.0
from jdobb_service.cli import main
main()""",
]
"""The command, waiting for a service to come back for as long as a test may take to bring it back."""
PATIENCE = WITHIN


@dataclass(frozen=True)
class Done:
    """What a finished command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def documents(self) -> list[Any]:
        """Return the JSON documents on standard output, one on each line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Running:
    """A command that runs; its standard error is collected by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Wait until a line on standard error contains a text."""
        with self._news:
            found = self._news.wait_for(lambda: any(text in line for line in self._lines), PATIENCE)
        assert found, f"{text!r} did not come: {self.err}"

    def wait_for_port(self, port: str) -> None:
        """Wait until something listens on a port of this machine."""
        ends = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < ends, self.err
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
                return
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for the end."""
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "a process that it started is left"
        return Done(code, out, self.err)

    @property
    def err(self) -> str:
        """Return what came on standard error so far."""
        return "".join(self._lines)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()


@dataclass
class Jdobb:
    """The command in a folder, with some environment on top of a clean one."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, **environment: str) -> Done:
        """Run the command in this process to its end."""
        env = self.clean_environment(environment)
        with contextlib.chdir(self.folder), patch.dict(os.environ, env, clear=True):
            done = CliRunner().invoke(make_app(), arguments, prog_name="jdobb", catch_exceptions=False)
        return Done(done.exit_code, done.stdout, done.stderr)

    def process(self, *arguments: str, stdin: str | bytes = b"", **environment: str) -> Done:
        """Run the command as a process to its end."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            check=False,
            cwd=self.folder,
            env=self.clean_environment(environment),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=PATIENCE,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextlib.contextmanager
    def start(
        self,
        *arguments: str,
        command: Sequence[str] = COMMAND,
        process_group: int | None = None,
        **environment: str,
    ) -> Iterator[Running]:
        """Run the command beside the block, and kill it at the end if it has not ended.

        In a ``process_group`` of its own (0) it is reached alone by what a terminal would send to it.
        """
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env=self.clean_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            process_group=process_group,
        ) as process:
            running = Running(process)
            try:
                yield running
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
                running._reader.join(PATIENCE)

    def clean_environment(self, more: dict[str, str]) -> dict[str, str]:
        """Return the environment of the command: this process's without settings, and what was added."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JDOBB_")}
        return {**clean, "PYTHONPATH": "", **self.environment, **more}
