"""Waking other processes: a small file beside the database, written after every commit that concerns them.

Its first eight bytes change when something may have become ready, the last eight when updates were
published. What they are does not matter. A wake-up is a hint: whoever waits looks again after a second
anyway, for the writer may die between its commit and this.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = struct.Struct("<q")
_SIZE = 2 * _WORD.size
_IN_MODIFY = 0x00000002
_SHORTEST_POLL, _LONGEST_POLL = 0.02, 0.1


class WakeFile:
    """The file, open for as long as the database is."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        if os.fstat(self._handle).st_size < _SIZE:
            os.ftruncate(self._handle, _SIZE)

    def signal(self, *, ready: bool, updates: bool) -> None:
        """Tell other processes; called in the writer's thread, after the commit."""
        if not ready and not updates:
            return
        word = _WORD.pack(time.time_ns())
        if ready and updates:
            os.pwrite(self._handle, word + word, 0)
        else:
            os.pwrite(self._handle, word, 0 if ready else _WORD.size)

    def read(self) -> tuple[bytes, bytes]:
        """Return both words."""
        words = os.pread(self._handle, _SIZE, 0)
        return words[: _WORD.size], words[_WORD.size :]

    def close(self) -> None:
        """Close the file; closing it harms no lock, for it is not the database."""
        os.close(self._handle)


class Watcher:
    """Calls back on the event loop when the file was written, by whichever process.

    On Linux the kernel tells (inotify); elsewhere, or when it has no watch left, the file is read every
    20 to 100 ms.
    """

    def __init__(
        self,
        file: WakeFile,
        on_ready: Callable[[], None],
        on_updates: Callable[[], None],
        *,
        inotify: bool = True,
    ) -> None:
        self._file = file
        self._on_ready, self._on_updates = on_ready, on_updates
        self._loop = asyncio.get_running_loop()
        self._seen = file.read()
        self._pause = _SHORTEST_POLL
        self._timer: asyncio.TimerHandle | None = None
        self._handle = _inotify(file.path) if inotify else None
        if self._handle is None:
            self._poll()
        else:
            self._loop.add_reader(self._handle, self._drain)

    @property
    def polls(self) -> bool:
        """Tell whether the file is read again and again because the kernel does not tell."""
        return self._handle is None

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._handle is not None:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None

    def _drain(self) -> None:
        if self._handle is not None:
            os.read(self._handle, 4096)
            self._look()

    def _poll(self) -> None:
        changed = self._look()
        self._pause = _SHORTEST_POLL if changed else min(_LONGEST_POLL, self._pause * 1.5)
        self._timer = self._loop.call_later(self._pause, self._poll)

    def _look(self) -> bool:
        ready, updates = self._file.read()
        (ready_before, updates_before), self._seen = self._seen, (ready, updates)
        if ready != ready_before:
            self._on_ready()
        if updates != updates_before:
            self._on_updates()
        return (ready, updates) != (ready_before, updates_before)


def _inotify(path: str) -> int | None:
    """Return a descriptor that becomes readable when the file is written, or None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        handle: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if handle < 0:
            return None
        if library.inotify_add_watch(handle, os.fsencode(path), _IN_MODIFY) < 0:
            os.close(handle)
            return None
    except (OSError, AttributeError):
        return None
    return handle
