"""The form of SQLite's write-ahead log (https://www.sqlite.org/walformat.html)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

HEADER, FRAME_HEADER = 32, 24
_HEADER = struct.Struct(">8xI4x8s")
_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")


@dataclass(frozen=True)
class WalHeader:
    """The size of a page, and the salt that the frames of this generation of the log carry."""

    page_size: int
    salt: bytes

    def place_of(self, frame: int) -> int:
        """Return where a frame begins, the first being 0."""
        return HEADER + frame * (FRAME_HEADER + self.page_size)


def read_header(log: BinaryIO) -> WalHeader | None:
    """Return the head of a log, None where it has none."""
    log.seek(0)
    head = log.read(HEADER)
    if len(head) < HEADER or head[:4] not in _MAGIC:
        return None
    return WalHeader(*_HEADER.unpack_from(head))
