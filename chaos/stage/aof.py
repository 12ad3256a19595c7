"""A Redis server that loses its last moments, as with the power, or by a failover to a replica that lags.

While a run goes on it is noted, a few times a second, how long the append-only file is at moments at which
the server says that all is written. Once it is killed, the file is cut at one of these: all that was
acknowledged before that moment is in it, and of what followed perhaps the beginning of one command.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from chaos.history import now
from tests.support.redis_server import RedisServer

_LOOK_EVERY = 0.1
_KEPT = 64
_LONGEST = 2.0
"""Seconds: what a server that syncs once a second may lose with the power, by its documentation."""
_TORN = 200
_QUIET = ("aof_pending_bio_fsync", "aof_buffer_length", "aof_rewrite_in_progress")


@dataclass(frozen=True)
class Mark:
    """A length of the file, and an instant before which everything acknowledged is within it."""

    at: float
    file: Path
    size: int


class Marks:
    """The latest lengths of a server's append-only file."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._marks: deque[Mark] = deque(maxlen=_KEPT)

    async def keep(self) -> None:
        """Note lengths, for as long as this runs."""
        while True:
            try:
                mark = await asyncio.to_thread(self._look)
            except Exception:  # noqa: BLE001 - the server is down, paused, or just starting
                mark = None
            if mark is not None:
                self._marks.append(mark)
            await asyncio.sleep(_LOOK_EVERY)

    def cut(self, rng: random.Random) -> float | None:
        """Cut the file of the killed server; return since when things are lost, None if nothing was noted."""
        file = _newest(self._server.folder)
        recent = [mark for mark in self._marks if mark.file == file and mark.at > now() - _LONGEST]
        if not recent:
            return None
        mark = rng.choice(recent)
        with mark.file.open("r+b") as opened:
            whole = opened.seek(0, 2)
            opened.truncate(min(whole, mark.size + rng.choice((0, 0, rng.randrange(_TORN)))))
        self._marks.clear()
        return mark.at

    def _look(self) -> Mark | None:
        asked_at = now()
        said = self._server.command("INFO", "persistence")
        file = _newest(self._server.folder)
        if file is None or any(str(said[name]) != "0" for name in _QUIET):
            return None
        return Mark(asked_at, file, file.stat().st_size)


def _newest(folder: Path) -> Path | None:
    """Return the file that is appended to now."""
    files = [*folder.glob("appendonlydir/*.incr.aof"), *folder.glob("appendonly.aof")]
    return max(files, key=lambda path: path.stat().st_mtime, default=None)
