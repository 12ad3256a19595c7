"""A clock that jumps for everybody at once: its error stands in a file that all workers read."""

from __future__ import annotations

import time
from pathlib import Path


class JumpingClock:
    """The machine's wall clock plus the milliseconds in a file. The monotonic clock does not jump."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> int:
        """Return the wall clock in milliseconds since the Unix epoch, with the error of the moment."""
        return time.time_ns() // 1_000_000 + error_in(self._file)

    def monotonic(self) -> float:
        """Return the system's monotonic clock in seconds."""
        return time.monotonic()


def error_in(file: Path) -> int:
    """Return the milliseconds that the clock is wrong by."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # there is none, or it is just being written
        return 0
