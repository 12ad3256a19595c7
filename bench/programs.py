"""A peer's program as the driver sees it: one process that takes a request and says what came of it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Any, cast

from bench.environments import ROOT, Unavailable

_PATIENCE = 120.0
"""Seconds within which a program must have said what is expected next."""


class Program:
    """A running program."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process, self._log = process, log
        self._unread = b""

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def expect(self, said: str, patience: float = _PATIENCE) -> dict[str, Any]:
        """Return the next line, which must be of this kind. Raises ``Unavailable``."""
        line = self._line(time.monotonic() + patience)
        words: dict[str, Any] = json.loads(line)
        if words["said"] != said:
            raise Unavailable(f"it said {words['said']!r} instead of {said!r}")
        return words

    def go(self) -> None:
        """Let it do what it is ready for."""
        self.send(b"go\n")

    def send(self, line: bytes) -> None:
        """Write a line to it."""
        stdin = cast("IO[bytes]", self._process.stdin)
        try:
            stdin.write(line)
            stdin.flush()
        except BrokenPipeError:
            raise Unavailable(f"it ended: {self._last_words()}") from None

    def _line(self, ends: float) -> bytes:
        stdout = cast("IO[bytes]", self._process.stdout)
        while b"\n" not in self._unread:
            if not select.select([stdout], [], [], max(0.0, ends - time.monotonic()))[0]:
                raise Unavailable("it did not answer in time")
            more = os.read(stdout.fileno(), 65536)
            if not more:
                raise Unavailable(f"it ended: {self._last_words()}")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        errors = [line for line in lines if "Error" in line] or lines
        return errors[-1] if errors else f"exit code {self._process.returncode}"


@contextmanager
def running(command: list[str], request: dict[str, Any]) -> Iterator[Program]:
    """Start a program with a request, and end it when the block is left."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        program = Program(process, log)
        try:
            program.send(json.dumps(request).encode() + b"\n")
            yield program
        finally:
            process.kill()
            process.communicate()
