"""The command on a terminal of its own, on which Ctrl-C can be typed."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.cli.command import COMMAND, PATIENCE, Jdobb

CTRL_C = "\x03"
_OWN_THE_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass
class Terminal:
    """What a person sees and types."""

    process: subprocess.Popen[bytes]
    _main: int
    shown: str = ""

    def wait_for(self, text: str, times: int = 1) -> None:
        """Read on until a text was shown so many times in all."""
        ends = time.monotonic() + PATIENCE
        while self.shown.count(text) < times:
            assert time.monotonic() < ends, self.shown
            assert self._read(1.0), f"it ended before {text!r} came: {self.shown}"

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._main, text.encode())

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        ends = time.monotonic() + PATIENCE
        while self._read(1.0):
            assert time.monotonic() < ends, self.shown
        return self.process.wait(PATIENCE)

    def mode(self) -> list[object]:
        """Return how the terminal treats what is typed."""
        return termios.tcgetattr(self._main)

    def _read(self, seconds: float) -> bool:
        """Read what is there; return whether there may be more."""
        if not select.select([self._main], [], [], seconds)[0]:
            return True
        try:
            chunk = os.read(self._main, 65_536)
        except OSError:  # the terminal's other end is closed
            return False
        self.shown += chunk.decode(errors="replace")
        return bool(chunk)


@contextlib.contextmanager
def terminal(jdobb: Jdobb, *arguments: str, **environment: str) -> Iterator[Terminal]:
    """Run the command on a terminal beside the block; it is killed at the end if it has not ended."""
    main, other = pty.openpty()
    termios.tcsetwinsize(other, (40, 120))
    with subprocess.Popen(
        [sys.executable, "-c", _OWN_THE_TERMINAL, *COMMAND, *arguments],
        cwd=jdobb.folder,
        env=jdobb.clean_environment({"TERM": "xterm", **environment}),
        stdin=other,
        stdout=other,
        stderr=other,
    ) as process:
        os.close(other)
        try:
            yield Terminal(process, main)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            os.close(main)
