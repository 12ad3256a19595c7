"""Sorted entries of any number, where adding, removing and reading on cost what they touch."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512


class Ordered:
    """Entries ``(*sort key, job id)``, ascending; the last part of a key is a whole number that is unique.

    They lie in sorted blocks of at most twice ``_BLOCK``, so that no change moves more than one block.
    """

    __slots__ = ("_blocks", "_lasts", "_size")

    def __init__(self) -> None:
        self._blocks: list[list[Any]] = []
        self._lasts: list[Any] = []
        """The last entry of each block."""
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, entry: Any) -> None:
        """Put an entry in its place."""
        self._size += 1
        if not self._blocks:
            self._blocks.append([])
            self._lasts.append(entry)
        at = min(bisect_left(self._lasts, entry), len(self._lasts) - 1)
        block = self._blocks[at]
        insort(block, entry)
        self._lasts[at] = block[-1]
        if len(block) > 2 * _BLOCK:
            self._split(at)

    def remove(self, entry: Any) -> None:
        """Take out an entry that is there."""
        self._size -= 1
        at = bisect_left(self._lasts, entry)
        block = self._blocks[at]
        del block[bisect_left(block, entry)]
        if block:
            self._lasts[at] = block[-1]
        else:
            del self._blocks[at], self._lasts[at]

    def after(self, key: tuple[int, ...] | None) -> Iterator[str]:
        """Yield the job ids behind a sort key, or all."""
        beyond = () if key is None else (*key[:-1], key[-1] + 1)
        at = bisect_left(self._lasts, beyond)
        begin = bisect_left(self._blocks[at], beyond) if at < len(self._blocks) else 0
        for block in islice(self._blocks, at, None):
            for entry in islice(block, begin, None):
                yield entry[-1]
            begin = 0

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        rest = block[_BLOCK:]
        del block[_BLOCK:]
        self._blocks.insert(at + 1, rest)
        self._lasts[at : at + 1] = [block[-1], rest[-1]]
