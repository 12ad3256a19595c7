"""Which part of SQLite's log has been written through, known at the commits themselves.

``LedgerWriter`` takes the place of the writing connection of a process. At each COMMIT it asks SQLite itself
which ``synchronous`` is in force; when it is FULL, SQLite has called fsync on the log before COMMIT returns,
and all frames up to this commit's last one are safe. That extent is kept in a file of the process, before
anybody is told of the commit. ``stage.power`` cuts the log there.

What this shows: that nothing is promised which lies beyond the last synced frame. What it takes for granted:
that SQLite syncs where it says so, and that the system and the disk do what fsync asks.

A process can also be told, by a signal, to die right before its next COMMIT or right after it, before anybody
is told.
"""

from __future__ import annotations

import os
import signal
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.actors.part import Part
from chaos.history import Fault, now
from chaos.stage.extents import SUFFIX, Extent
from chaos.stage.wal import FRAME_HEADER, WalHeader, read_header
from jdobb_async_queue.backends.sqlite import backend as sqlite_backend
from jdobb_async_queue.backends.sqlite.connection import Writer

BEFORE_COMMIT, AFTER_COMMIT = signal.SIGUSR1, signal.SIGUSR2
_INDEX = struct.Struct("=16xI12x8s")
"""From the head of the log's index: how many frames are committed, and the salt."""
_COMMIT_SIZE = struct.Struct(">4xI8s")
"""From the head of a frame: the database's size after a commit, else 0, and the salt."""
_FULL = 2


class Ledger:
    """What one process knows of the log. It never closes what SQLite has open: that would drop its locks."""

    def __init__(self, extent: Extent) -> None:
        self._extent = extent
        self._database = ""
        self._index: int | None = None
        self._inode = 0

    def watch(self, database: str) -> None:
        """Look at the log of this database from now on."""
        self._database = database

    def committed(self) -> tuple[bytes, int]:
        """Return the log's salt, and how many frames are committed; the write lock makes it exact."""
        path = f"{self._database}-shm"
        try:
            inode = os.stat(path).st_ino  # noqa: PTH116 - with each commit
        except FileNotFoundError:
            return b"", 0
        if self._index is None or inode != self._inode:
            self._index, self._inode = os.open(path, os.O_RDONLY), inode
        frames, salt = _INDEX.unpack(os.pread(self._index, _INDEX.size, 0))
        return salt, frames

    def note_commit(self, before: tuple[bytes, int]) -> None:
        """Keep the extent of a synced commit; ``before`` is what ``committed`` said under its lock."""
        with open(f"{self._database}-wal", "rb") as log:  # noqa: PTH123 - SQLite has no locks on this one
            header = read_header(log)
            if header is None:
                return
            salt, frames = before
            first = frames if salt == header.salt else 0
            self._extent.keep(header.salt, _end_of_commit(log, header, first))

    def note_all(self) -> None:
        """Keep all that is committed: a checkpoint syncs the log before it touches the database."""
        self._extent.keep(*self.committed())


def _end_of_commit(log: Any, header: WalHeader, first: int) -> int:
    """Return how many frames there are up to the first commit after ``first`` frames."""
    frame = first
    while True:
        log.seek(header.place_of(frame))
        head = log.read(FRAME_HEADER)
        if len(head) < FRAME_HEADER:
            return first
        size, salt = _COMMIT_SIZE.unpack_from(head)
        if salt != header.salt:
            return first
        frame += 1
        if size:
            return frame


class LedgerWriter(Writer):
    """The writing connection, with a ledger and points at which it dies when told so."""

    ledger: Ledger
    dies_at: signal.Signals | None = None
    write: Any = None
    who = ""
    is_durable = True
    _checkpoints = False

    def prepare(self, place: Any) -> None:
        """Set the connection up."""
        if place.path is not None:
            self.ledger.watch(place.path)
        super().prepare(place if self.is_durable else replace(place, durable=False))

    def checkpoint(self) -> None:
        """Make a checkpoint, and note that it syncs the whole log first."""
        self._checkpoints = True
        try:
            super().checkpoint()
        finally:
            self._checkpoints = False

    def execute(self, sql: str, *arguments: Any) -> Any:
        """Run a statement; see the module for what is done about a COMMIT."""
        if sql == "COMMIT":
            return self._commit()
        done = super().execute(sql, *arguments)
        if self._checkpoints and sql == "BEGIN IMMEDIATE":
            self.ledger.note_all()
        return done

    def _commit(self) -> Any:
        if LedgerWriter.dies_at is BEFORE_COMMIT:
            self._die()
        (level,) = super().execute("PRAGMA synchronous").fetchone()
        before = self.ledger.committed()
        done = super().execute("COMMIT")
        if level >= _FULL:
            self.ledger.note_commit(before)
        if LedgerWriter.dies_at is AFTER_COMMIT:
            self._die()
        return done

    @classmethod
    def _die(cls) -> None:
        cls.write(Fault(at=now(), fault="kill", target=cls.who))
        os.kill(os.getpid(), signal.SIGKILL)


def install(part: Part) -> None:
    """Give the processes' SQLite backends a writing connection with a ledger, and obey the two signals."""
    LedgerWriter.ledger = Ledger(Extent(Path(part.folder) / f"{part.who.replace(':', '-')}{SUFFIX}"))
    LedgerWriter.write, LedgerWriter.who = part.journal(), part.who
    LedgerWriter.is_durable = part.options.get("durability", "full") == "full"
    vars(sqlite_backend)["Writer"] = LedgerWriter  # in its place, for this process

    def doom(number: int, _frame: object) -> None:
        LedgerWriter.dies_at = signal.Signals(number)

    signal.signal(BEFORE_COMMIT, doom)
    signal.signal(AFTER_COMMIT, doom)
