"""What happens to SQLite files."""

from __future__ import annotations

import asyncio
import os
import random

from chaos.faults.base import Fault
from chaos.history import now
from chaos.scene import Scene
from chaos.stage.power import cut_power
from chaos.stage.process import Process

_HOLDER = """
import sqlite3, sys, time
path, begin, seconds = sys.argv[1:]
database = sqlite3.connect(path, isolation_level=None, timeout=30)
database.execute(begin)
database.execute("SELECT count(*) FROM counts").fetchall()
print("held", flush=True)
time.sleep(float(seconds))
database.execute("ROLLBACK")
"""
_LEAST_LIMIT = 256 * 1024


class _Foreign(Fault):
    """Another program has the file open."""

    family = "sqlite"
    backends = frozenset({"sqlite"})
    target = "file"
    statement: str
    lasts: tuple[float, float]

    def __init__(self) -> None:
        self._process: Process | None = None
        self._begun_at = now()

    async def begin(self, scene: Scene) -> float | None:
        """Start it."""
        seconds = scene.rng.uniform(*self.lasts)
        arguments = ["-c", _HOLDER, str(scene.sqlite.path), self.statement, f"{seconds:.2f}"]
        self._process = Process(arguments, scene.folder / "foreign.log", {})
        return seconds

    async def undo(self, scene: Scene) -> None:
        """Wait until it has let go."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, 30.0)
            self._process.end()
            scene.cause("cut", at=self._begun_at, until=now())


class Locked(_Foreign):
    """A foreign program holds the write lock."""

    name, what = "locked", "a foreign program holds the write lock for up to 4 s"
    undone, statement, lasts = "it lets go", "BEGIN IMMEDIATE", (0.5, 4.0)


class LongReader(_Foreign):
    """A foreign program reads for long, so that the log cannot be restarted."""

    name, what = "long-reader", "a foreign program has a read transaction open for up to 6 s: the log grows"
    undone, statement, lasts = "it ends", "BEGIN", (2.0, 6.0)


class DiskFull(Fault):
    """No file may grow."""

    name, family = "disk-full", "sqlite"
    what = "RLIMIT_FSIZE of all processes at the size of the log: writes fail with EFBIG, as on a full disk"
    undone = "the limit is lifted"
    backends = frozenset({"sqlite"})
    target = "file"

    def __init__(self) -> None:
        self._limited: list[Process] = []
        self._begun_at = now()

    async def begin(self, scene: Scene) -> float | None:
        """Limit all that have the file open."""
        try:
            size = os.stat(f"{scene.sqlite.path}-wal").st_size  # noqa: PTH116 - nobody opens what SQLite has open
        except FileNotFoundError:
            size = 0
        for actor in scene.cast.actors:
            if actor.opens_store and actor.process is not None and actor.runs:
                actor.process.limit_files(max(_LEAST_LIMIT, size))
                self._limited.append(actor.process)
        return scene.rng.uniform(1.0, 4.0)

    async def undo(self, scene: Scene) -> None:
        """Lift the limits."""
        for process in self._limited:
            process.limit_files(None)
        scene.cause("cut", at=self._begun_at, until=now())


class PowerCut(Fault):
    """The power goes."""

    name, family = "power-cut", "power"
    what = "all processes die at once, and of the log only what was synced is sure to be left"
    undone = "everything is started again"
    backends = frozenset({"sqlite"})
    target = "file"

    async def begin(self, scene: Scene) -> float | None:
        """Cut it."""
        scene.is_dark = True
        for actor in scene.cast.actors:
            if actor.opens_store:
                scene.kill(actor)
        rng = random.Random(scene.rng.random())  # noqa: S311 - choices to repeat, not to keep secret
        cut = await asyncio.to_thread(cut_power, scene.sqlite.path, scene.folder, rng)
        scene.cause("power" if scene.store.durability == "full" else "rollback", at=now())
        scene.cause("frames unsynced" if cut.unsynced else "nothing unsynced", "file", at=now())
        for _ in range(cut.commits_lost):
            scene.cause("commit lost with the power", "file", at=now())
        return 0.1

    async def undo(self, scene: Scene) -> None:
        """Switch it on."""
        scene.is_dark = False
