"""Bounds on what may be open at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """A number of places; a caller that gets none is told so at once instead of waiting."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Yield whether a place was free; it is held until the block is left."""
        if self.taken >= self._limit:
            yield False
            return
        self.taken += 1
        try:
            yield True
        finally:
            self.taken -= 1
