"""Processes killed and stopped."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from chaos.actors.ledger import AFTER_COMMIT, BEFORE_COMMIT
from chaos.faults.base import PROCESSES, Fault
from chaos.history import now
from chaos.scene import Scene
from chaos.stage.cast import API, HTTP_PRODUCER, HTTP_WORKER, PRODUCER, WORKER
from chaos.stage.process import Process

_SHARED = frozenset({"sqlite", "redis"})
_TO_COMMIT = 3.0
"""Seconds that a doomed process gets to reach a commit."""


class _Kill(Fault):
    family = "kill"
    undone = "it is started again"
    lane = PROCESSES
    roles: ClassVar[tuple[str, ...]]

    async def begin(self, scene: Scene) -> float | None:
        """Send SIGKILL."""
        actor = scene.pick(*self.roles)
        if actor is None:
            return None
        self.target = actor.who
        scene.kill(actor)
        return 0.0


class KillWorker(_Kill):
    """SIGKILL of a worker."""

    name, what, roles = (
        "kill-worker",
        "SIGKILL of a worker, of the library or over HTTP",
        (WORKER, HTTP_WORKER),
    )
    backends = _SHARED


class KillApi(_Kill):
    """SIGKILL of the service. In memory it takes all jobs along."""

    name, what, roles = "kill-api", "SIGKILL of an instance of the service", (API,)

    async def begin(self, scene: Scene) -> float | None:
        """Send SIGKILL, and say what is lost with it."""
        begun = await super().begin(scene)
        if begun is not None and scene.store.kind == "memory":
            scene.cause("reset", at=now())
        return begun


class KillProducer(_Kill):
    """SIGKILL of a producer."""

    name, what, roles = "kill-producer", "SIGKILL of a producer amid its calls", (PRODUCER, HTTP_PRODUCER)


class _Stop(Fault):
    family = "stop"
    undone = "SIGCONT"
    lane = PROCESSES
    roles: ClassVar[tuple[str, ...]]
    lasts: ClassVar[tuple[float, float]] = (1.2, 2.0)
    """In leases."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._begun_at = 0.0

    async def begin(self, scene: Scene) -> float | None:
        """Send SIGSTOP."""
        actor = scene.pick(*self.roles)
        if actor is None or actor.process is None:
            return None
        self.target, self._process, self._begun_at = actor.who, actor.process, now()
        self._process.stop()
        return scene.lease * scene.rng.uniform(*self.lasts)

    async def undo(self, scene: Scene) -> None:
        """Send SIGCONT."""
        if self._process is not None:
            self._process.go_on()
            scene.cause("pause", self.target, at=self._begun_at, until=now())


class StopWorker(_Stop):
    """SIGSTOP of a worker for longer than its leases."""

    name, what = "stop-worker", "SIGSTOP of a worker for longer than its leases last"
    roles = (WORKER, HTTP_WORKER)
    backends = _SHARED


class StopApi(_Stop):
    """SIGSTOP of the service; in memory the workers stand still with it."""

    name, what, roles = "stop-api", "SIGSTOP of an instance of the service", (API,)


class StopProducer(_Stop):
    """SIGSTOP of a producer."""

    name, what, roles = "stop-producer", "SIGSTOP of a producer amid its calls", (PRODUCER, HTTP_PRODUCER)
    lasts = (0.3, 1.0)


class KillAmidCommit(Fault):
    """SIGKILL right before or right after the COMMIT of a transaction that many calls share."""

    name, family = "kill-amid-commit", "kill"
    what = "a process that writes dies right before its next COMMIT, or after it and before anybody is told"
    undone = "it is started again"
    backends = frozenset({"sqlite"})
    lane = PROCESSES

    async def begin(self, scene: Scene) -> float | None:
        """Doom a process, and wait until it has met its end."""
        writers = [actor for actor in scene.cast.running(WORKER, API, PRODUCER) if actor.opens_store]
        if not writers:
            return None
        actor = scene.rng.choice(writers)
        process = actor.process
        if process is None:
            return None
        self.target = actor.who
        process.signal(scene.rng.choice((BEFORE_COMMIT, AFTER_COMMIT)))
        if not await asyncio.to_thread(process.wait, _TO_COMMIT):
            scene.kill(actor)
        return 0.0
