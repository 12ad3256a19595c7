"""One process of a run: started, killed, stopped, ended by its id."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.processes import ROOT

_PATIENCE = 20.0


class Process:
    """A running program; its output goes to a file in the folder."""

    def __init__(self, arguments: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.is_stopped = False

    @property
    def pid(self) -> int:
        """Return its id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.poll()

    @property
    def runs(self) -> bool:
        """Tell whether it has not ended."""
        return self.code is None

    def kill(self) -> None:
        """End it as a crash would, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let it stand still."""
        self.is_stopped = True
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.is_stopped = False
        if self.runs:
            self._process.send_signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def limit_files(self, size: int | None) -> None:
        """Let none of its files grow beyond so many bytes; None: as far as they may."""
        if self.runs:
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def tell_to_end(self) -> None:
        """Send the signal by which an operator ends it."""
        self._process.terminate()

    def end(self) -> int:
        """End it as an operator would, by force if it does not, and return its exit code."""
        if self.runs:
            self.go_on()
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.returncode

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; tell whether it has."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
