"""How far a log was synced, as the processes that wrote it noted it: one small file each."""

from __future__ import annotations

import os
import struct
from pathlib import Path

SUFFIX = ".extent"
_ENTRY = struct.Struct("<8sI")


class Extent:
    """What one process last knew to be synced: the log's salt, and how many of its frames."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)

    def keep(self, salt: bytes, frames: int) -> None:
        """Write it down; it survives the process."""
        os.pwrite(self._file, _ENTRY.pack(salt, frames), 0)


def synced_frames(folder: Path, salt: bytes) -> int:
    """Return how many frames of the log with this salt were synced, by what all processes noted.

    A sync is one of the whole file, so the furthest counts.
    """
    entries = [_ENTRY.unpack(path.read_bytes()) for path in folder.glob(f"*{SUFFIX}") if path.stat().st_size]
    return max((frames for noted, frames in entries if noted == salt), default=0)
