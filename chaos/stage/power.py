"""A power cut for a SQLite database: of its log only what was synced is sure to be left.

All processes that have the file open must have been killed before. What was synced is read from their
``actors.ledger`` files. Of the frames beyond that, chance decides: some survive, some are old bytes or zeros,
the last may be torn, and the file may be shorter. The index of the log, which is memory, is gone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chaos.stage.extents import synced_frames
from chaos.stage.wal import FRAME_HEADER, WalHeader, read_header

_SALT = 8
"""Where the salt stands in the head of a frame."""


@dataclass(frozen=True)
class Cut:
    """What a cut did: frames that were safe, frames beyond, and commits among these that were lost."""

    synced: int = 0
    unsynced: int = 0
    commits_lost: int = 0


def cut_power(database: Path, folder: Path, rng: random.Random) -> Cut:
    """Leave of the database what a loss of power may leave."""
    log_path = database.with_name(f"{database.name}-wal")
    database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    if not log_path.exists():
        return Cut()
    with log_path.open("r+b") as log:
        header = read_header(log)
        if header is None:
            return Cut()
        safe = synced_frames(folder, header.salt)
        commits = _commits_after(log, header, safe)
        if not commits[1]:
            return Cut(safe)
        survivors = rng.randrange(commits[1] + 1)
        _spoil(log, header, safe + survivors, rng)
        lost = sum(place > safe + survivors for place in commits[0])
        return Cut(safe, commits[1], lost)


def _commits_after(log: BinaryIO, header: WalHeader, first: int) -> tuple[list[int], int]:
    """Return the ends of the commits beyond ``first`` frames, and how many frames of this log follow it."""
    ends: list[int] = []
    frame = first
    while True:
        log.seek(header.place_of(frame))
        head = log.read(FRAME_HEADER)
        if len(head) < FRAME_HEADER or head[8:16] != header.salt:
            return ends, frame - first
        frame += 1
        if head[4:8] != b"\0\0\0\0":
            ends.append(frame)


def _spoil(log: BinaryIO, header: WalHeader, first: int, rng: random.Random) -> None:
    """Spoil the first frame that does not survive: there the log ends. Of the rest chance decides."""
    begin, size = header.place_of(first), log.seek(0, 2)
    if begin >= size:
        return
    if rng.random() < 0.5:  # noqa: PLR2004 - one of two
        size = rng.randrange(begin, size)
        log.truncate(size)
    for place in range(begin, size - FRAME_HEADER, header.place_of(1) - header.place_of(0)):
        if place == begin:
            log.seek(place + _SALT)
            log.write(rng.randbytes(8))
        elif rng.random() < 0.5:  # noqa: PLR2004 - one of two
            log.seek(place + rng.randrange(FRAME_HEADER))
            log.write(rng.choice((bytes(512), rng.randbytes(512))))
    log.truncate(size)
