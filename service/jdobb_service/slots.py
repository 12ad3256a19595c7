"""Bounds on what may be open at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """A number of places; a caller that gets none is told so at once instead of waiting.

    ``each`` is how many of them one caller may hold, None for any.
    """

    def __init__(self, limit: int, each: int | None = None) -> None:
        self._limit, self._each = limit, limit if each is None else each
        self._held: Counter[str] = Counter()
        self.taken = 0

    @contextmanager
    def take(self, who: str = "") -> Iterator[bool]:
        """Yield whether a place was free for this caller; it is held until the block is left."""
        if self.taken >= self._limit or self._held[who] >= self._each:
            yield False
            return
        self.taken += 1
        self._held[who] += 1
        try:
            yield True
        finally:
            self.taken -= 1
            self._held[who] -= 1
            if not self._held[who]:
                del self._held[who]
