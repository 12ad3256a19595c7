"""Waiting for a condition outside an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], within: float = 30.0) -> None:
    """Return when the condition holds."""
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, "the condition did not come true"
        time.sleep(0.02)
