"""Time, randomness and ids: the only module that reads the machine's clocks and entropy.

Everything else takes a ``Clock`` and a ``random.Random`` as arguments, so that a test or a simulation
can put its own in. Timers are the event loop's and therefore follow its (possibly virtual) time.
"""

from __future__ import annotations

import random
import time
from typing import Protocol


class Clock(Protocol):
    """A source of the present."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since the Unix epoch."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return the system's monotonic clock in seconds."""
        return time.monotonic()


def system_random() -> random.Random:
    """Return a source of randomness that nobody can guess or seed (lease tokens come from it)."""
    return random.SystemRandom()


class Ids:
    """Makes job ids: UUID version 7 (RFC 9562 section 5.7), so that they sort by creation time."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock, self._rng = clock, rng
        self._last = 0

    def job_id(self) -> str:
        """Return a new id; ids of one maker strictly grow also within a millisecond."""
        tick = max(self._clock.now() << 12, self._last + 1)
        self._last = tick
        millis, counter = tick >> 12, tick & 0xFFF
        tail = self._rng.getrandbits(62) | (0b10 << 62)
        high, low = millis >> 16 & 0xFFFFFFFF, millis & 0xFFFF
        return f"{high:08x}-{low:04x}-7{counter:03x}-{tail >> 48:04x}-{tail & 0xFFFFFFFFFFFF:012x}"

    def lease_token(self) -> str:
        """Return a new lease token: 128 random bits as hex."""
        return f"{self._rng.getrandbits(128):032x}"
