"""Every fault, by its name."""

from __future__ import annotations

from chaos.faults import clocks, handlers, network, processes, redis, sqlite
from chaos.faults.base import PROCESSES, SURROUNDINGS, Fault

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        processes.KillWorker,
        processes.KillApi,
        processes.KillProducer,
        processes.KillAmidCommit,
        processes.StopWorker,
        processes.StopApi,
        processes.StopProducer,
        handlers.Blocks,
        handlers.Forks,
        handlers.Hogs,
        handlers.Deaf,
        handlers.Swallows,
        handlers.Dies,
        handlers.Dozes,
        network.Delay,
        network.CutReplies,
        network.LoseReplies,
        network.LoseEnqueue,
        network.HalfOpen,
        network.Silence,
        network.Cut,
        redis.KillRedis,
        redis.LoseSeconds,
        redis.StopRedis,
        redis.ClientPause,
        redis.ScriptFlush,
        redis.ReadOnly,
        redis.FullMemory,
        sqlite.Locked,
        sqlite.LongReader,
        sqlite.DiskFull,
        sqlite.PowerCut,
        clocks.ClockJump,
    )
}
FAMILIES = sorted({fault.family for fault in FAULTS.values()})

__all__ = ["FAMILIES", "FAULTS", "PROCESSES", "SURROUNDINGS", "Fault", "chosen"]


def chosen(words: list[str], backend: str, durability: str = "full") -> list[type[Fault]]:
    """Return the faults of these names and families that a backend has. Raises ``ValueError``."""
    found: list[type[Fault]] = []
    for word in words:
        meant = [
            fault
            for fault in FAULTS.values()
            if word in {"all", fault.name, fault.family}
            and backend in fault.backends
            and durability in fault.durabilities
        ]
        if not meant:
            known = word in FAULTS or word in FAMILIES
            what = (
                f"the {backend} backend ({durability}) has no fault {word!r}"
                if known
                else f"unknown fault {word!r}"
            )
            raise ValueError(f"{what}; --list shows all")
        found += [fault for fault in meant if fault not in found]
    return found
