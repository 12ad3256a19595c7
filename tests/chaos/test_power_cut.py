"""What a loss of power leaves of a SQLite database: all that was promised, whatever else chance takes."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.actors.part import Part
from chaos.history import Acknowledged, read_history
from chaos.stage.cast import PRODUCER, WORKER, Actor
from chaos.stage.extents import SUFFIX, Extent
from chaos.stage.power import Cut, cut_power
from chaos.stage.wal import read_header
from jdobb_async_queue import JobQueue
from tests.support.waiting import until

ROWS = 12


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - choices to repeat, not to keep secret


@contextmanager
def database_in_wal_mode(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "wal_autocheckpoint=0", "synchronous=NORMAL"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("CREATE TABLE kept (n INTEGER)")
    try:
        yield database
    finally:
        database.close()


def extent_of(path: Path) -> tuple[bytes, int]:
    """Return the salt of a log and how many frames it has."""
    with Path(f"{path}-wal").open("rb") as log:
        header = read_header(log)
        assert header is not None
        return header.salt, (log.seek(0, 2) - header.place_of(0)) // (header.place_of(1) - header.place_of(0))


@pytest.mark.parametrize("synced", [0, 5, ROWS])
def test_a_cut_leaves_what_was_synced_and_a_part_of_the_rest(tmp_path: Path, synced: int):
    original = tmp_path / "original.db"
    cuts: list[Cut] = []
    left: set[int] = set()
    with database_in_wal_mode(original) as database:
        database.execute("PRAGMA wal_checkpoint").fetchall()
        noted = extent_of(original)
        for n in range(ROWS):
            database.execute("INSERT INTO kept VALUES (?)", (n,))
            if n + 1 == synced:
                noted = extent_of(original)
        for seed in range(40):
            folder = tmp_path / str(seed)
            folder.mkdir()
            for name in ("jobs.db", "jobs.db-wal"):
                shutil.copy(original.with_name(name.replace("jobs", "original")), folder / name)
            if synced:
                Extent(folder / f"writer{SUFFIX}").keep(*noted)
            cuts.append(cut_power(folder / "jobs.db", folder, seeded(seed)))
            with sqlite3.connect(folder / "jobs.db") as after:
                rows = [n for (n,) in after.execute("SELECT n FROM kept ORDER BY n")]
                assert after.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            after.close()
            assert rows == list(range(len(rows)))
            left.add(len(rows))

    assert min(left) >= synced
    assert len(left) > 3 or synced == ROWS
    assert max(cut.commits_lost for cut in cuts) == (0 if synced == ROWS else ROWS - min(left))


class Site:
    """A database that a producer and a worker work on until the power goes."""

    def __init__(self, folder: Path, durability: str) -> None:
        self.folder, self.path = folder, folder / "jobs.db"
        self.url = f"sqlite:///{self.path}"
        options = {"ledger": True, "durability": durability, "rate": 400.0, "backlog": 200}
        self._actors = [
            Actor.of(role, Part(role, str(folder), self.url, lease=2.0, seed=1, options=dict(options)))
            for role in (PRODUCER, WORKER)
        ]

    def work_until(self, acknowledged: int) -> None:
        """Work until so many jobs more have been acknowledged, and then a moment."""
        wanted = len(self.acknowledged()) + acknowledged
        for actor in self._actors:
            actor.start()
        until(lambda: len(self.acknowledged()) >= wanted, within=100)

    def cut(self, rng: random.Random) -> Cut:
        """Cut the power."""
        for actor in self._actors:
            assert actor.process is not None
            actor.process.kill()
        return cut_power(self.path, self.folder, rng)

    def acknowledged(self) -> set[str]:
        """Return the jobs that were acknowledged so far."""
        return {event.job for event in read_history(self.folder) if isinstance(event, Acknowledged)}

    async def lost(self) -> set[str]:
        """Return the acknowledged jobs that are not there."""
        ids = sorted(self.acknowledged())
        async with JobQueue("sqlite", url=self.url) as queue:
            found = [job for n in range(0, len(ids), 500) for job in await queue.get_many(ids[n : n + 500])]
            with sqlite3.connect(self.path) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            database.close()
        return {job_id for job_id, job in zip(ids, found, strict=True) if job is None}


@pytest.mark.timeout(300)  # on a machine that does much else
async def test_no_acknowledged_job_is_lost_with_the_power(tmp_path: Path):
    site, rng = Site(tmp_path, "full"), seeded(1)
    cuts: list[Cut] = []
    while len(cuts) < 3 or not any(cut.unsynced for cut in cuts):
        site.work_until(100)
        cuts.append(site.cut(rng))
        assert len(cuts) < 20

    assert await site.lost() == set()


@pytest.mark.timeout(300)  # the same
async def test_without_syncs_the_same_cut_loses_acknowledged_jobs(tmp_path: Path):
    site, rng = Site(tmp_path, "normal"), seeded(1)
    lost: set[str] = set()
    for _ in range(20):
        site.work_until(100)
        cut = site.cut(rng)
        lost = await site.lost()
        if lost:
            break

    assert cut.commits_lost > 0
    assert lost
