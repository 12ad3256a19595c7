"""How the service ends: its exit codes, and the line that says why it did not start."""

from __future__ import annotations

import sys

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 5
LAST_RESORT = 4.0
"""Seconds after the grace at which a process ends whatever still holds it (blocked threads, say)."""


def refuse(error: Exception, code: int) -> int:
    """Say why it cannot be served, and return the exit code."""
    print(f"jdobb: {error}", file=sys.stderr)  # noqa: T201 - the reason, before there is anything to log it to
    return code
