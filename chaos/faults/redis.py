"""What happens to Redis servers."""

from __future__ import annotations

import asyncio

from chaos.faults.base import Fault
from chaos.history import now
from chaos.scene import Scene
from tests.support.ports import free_port

_SYNCING = ("aof_pending_bio_fsync", "aof_buffer_length")
_LOOK_AGAIN = 0.005


class _Server(Fault):
    """A fault of the server, which nobody can use meanwhile."""

    family = "redis"
    backends = frozenset({"redis"})
    target = "redis"

    def __init__(self) -> None:
        self._begun_at = now()

    async def undo(self, scene: Scene) -> None:
        """Put the server right, and say for how long nobody could use it."""
        await self.release(scene)
        scene.cause("cut", at=self._begun_at, until=now())

    async def release(self, scene: Scene) -> None:
        """Put the server right."""


class KillRedis(_Server):
    """SIGKILL of the server."""

    name, what = "kill-redis", "SIGKILL of the Redis server; it comes back with its append-only file"
    undone = "it is started again after up to 1.5 s"

    async def begin(self, scene: Scene) -> float | None:
        """Kill it.

        With ``everysec`` a server keeps writes to itself while the disk is busy syncing. So it is killed when
        it says that it does not; what it was told between that and its end may be gone, and nothing before.
        """
        certain_at = now()
        if scene.store.durability != "full":
            certain_at = await _when_all_is_written(scene)
        await asyncio.to_thread(scene.redis.server.kill)
        if scene.store.durability != "full":
            scene.cause("rollback", since=certain_at, at=now())
        return scene.rng.uniform(0.05, 1.5)

    async def release(self, scene: Scene) -> None:
        """Start it."""
        await asyncio.to_thread(scene.redis.server.start)


class LoseSeconds(_Server):
    """A server that has lost its last moments."""

    name, family = "lose-seconds", "power"
    what = "SIGKILL of the server, and its append-only file is cut where it was up to two seconds before"
    undone = "it is started again, without what it lost"
    durabilities = frozenset({"normal"})

    async def begin(self, scene: Scene) -> float | None:
        """Kill it and cut its file."""
        certain_at = await _when_all_is_written(scene)
        await asyncio.to_thread(scene.redis.server.kill)
        killed_at = now()
        lost_since = scene.redis.marks.cut(scene.rng)
        scene.cause("rollback", since=certain_at if lost_since is None else lost_since, at=killed_at)
        return scene.rng.uniform(0.05, 1.0)

    async def release(self, scene: Scene) -> None:
        """Start it."""
        await asyncio.to_thread(scene.redis.server.start)


class StopRedis(_Server):
    """SIGSTOP of the server."""

    name, what, undone = "stop-redis", "SIGSTOP of the Redis server", "SIGCONT"

    async def begin(self, scene: Scene) -> float | None:
        """Stop it."""
        scene.redis.server.pause()
        return scene.lease * scene.rng.uniform(0.3, 1.4)

    async def release(self, scene: Scene) -> None:
        """Let it go on."""
        scene.redis.server.go_on()


class ClientPause(_Server):
    """CLIENT PAUSE."""

    name, what, undone = (
        "client-pause",
        "CLIENT PAUSE of all commands, or of those that write",
        "it ends by itself",
    )

    async def begin(self, scene: Scene) -> float | None:
        """Pause."""
        seconds = scene.lease * scene.rng.uniform(0.3, 1.4)
        mode = scene.rng.choice(("ALL", "WRITE"))
        await asyncio.to_thread(scene.redis.server.command, "CLIENT", "PAUSE", round(seconds * 1000), mode)
        return seconds


class ScriptFlush(_Server):
    """SCRIPT FLUSH."""

    name, what = "script-flush", "SCRIPT FLUSH: the server forgets all scripts"
    undone = "clients bring them again"

    async def begin(self, scene: Scene) -> float | None:
        """Flush."""
        await asyncio.to_thread(scene.redis.server.command, "SCRIPT", "FLUSH")
        return 0.0


class ReadOnly(_Server):
    """A primary that becomes a replica, as in a failover."""

    name, what = "readonly", "REPLICAOF a host that is not there: the server takes no writes"
    undone = "REPLICAOF NO ONE"

    async def begin(self, scene: Scene) -> float | None:
        """Demote it."""
        await asyncio.to_thread(scene.redis.server.command, "REPLICAOF", "127.0.0.1", free_port())
        return scene.rng.uniform(0.5, 2.5)

    async def release(self, scene: Scene) -> None:
        """Promote it."""
        await asyncio.to_thread(scene.redis.server.command, "REPLICAOF", "NO", "ONE")


class FullMemory(_Server):
    """maxmemory reached."""

    name, what = "full-memory", "CONFIG SET maxmemory below what is in use: new jobs are refused"
    undone = "CONFIG SET maxmemory 0"

    async def begin(self, scene: Scene) -> float | None:
        """Fill it."""
        used = int(await asyncio.to_thread(scene.redis.server.figure, "used_memory"))
        await asyncio.to_thread(scene.redis.server.command, "CONFIG", "SET", "maxmemory", used * 9 // 10)
        return scene.rng.uniform(1.0, 4.0)

    async def release(self, scene: Scene) -> None:
        """Give it room."""
        await asyncio.to_thread(scene.redis.server.command, "CONFIG", "SET", "maxmemory", 0)


async def _when_all_is_written(scene: Scene) -> float:
    """Return an instant at which the server had written all that it had acknowledged before."""
    while True:
        asked_at = now()
        said = await asyncio.to_thread(scene.redis.server.command, "INFO", "persistence")
        if all(str(said[name]) == "0" for name in _SYNCING):
            return asked_at
        await asyncio.sleep(_LOOK_AGAIN)
