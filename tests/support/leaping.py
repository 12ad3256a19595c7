"""An event loop whose time passes only while nobody has anything to do, and then at once.

What is promised in seconds can be measured on it to the millisecond, on however slow a machine. It is for
programs without threads and without sockets, such as a worker on the memory backend.
"""

from __future__ import annotations

import asyncio
import selectors

from tests.support.clock import NEW_YEAR


class _Leaping(selectors.DefaultSelector):
    """Leaps over the time that the loop would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and nobody for a timer"
        ready = super().select(0)
        if not ready:
            self.seconds += max(0.0, timeout)
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """The loop; it is also a clock for backends and workers."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.seconds

    def monotonic(self) -> float:
        """Return seconds."""
        return self.time()

    def now(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return int((NEW_YEAR.timestamp() + self.time()) * 1000)
