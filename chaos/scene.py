"""What a fault works on: who takes part, the store, the networks, and where its cause is written down."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos.client import Client
from chaos.history import STORE, Event, Fault, now
from chaos.stage.cast import Actor, Cast
from chaos.stage.stores import RedisStore, SqliteStore, Store
from tests.support.proxy import Proxy

_RESTART_LOOKS = 0.05


@dataclass
class Scene:
    """A run while it goes on."""

    folder: Path
    lease: float
    rng: random.Random
    write: Callable[[Event], None]
    cast: Cast
    store: Store
    http_proxies: list[Proxy]
    client: Client
    clock: Path
    """The file that holds the error of the workers' clocks in milliseconds."""
    is_dark: bool = False
    """The power is off: nobody is started."""

    @property
    def redis(self) -> RedisStore:
        """Return the store of a run over Redis."""
        assert isinstance(self.store, RedisStore)  # noqa: S101 - the fault names its backends
        return self.store

    @property
    def sqlite(self) -> SqliteStore:
        """Return the store of a run over SQLite."""
        assert isinstance(self.store, SqliteStore)  # noqa: S101 - the fault names its backends
        return self.store

    def pick(self, *roles: str) -> Actor | None:
        """Return one of those in these roles that run now, None when there is none."""
        running = self.cast.running(*roles)
        return self.rng.choice(running) if running else None

    def cause(
        self,
        kind: str,
        target: str = STORE,
        *,
        at: float,
        until: float | None = None,
        since: float | None = None,
    ) -> None:
        """Write down what explains something; see ``history.Fault``."""
        self.write(Fault(at=at, asked_at=since, fault=kind, target=target, until=until))

    def kill(self, actor: Actor) -> None:
        """Kill an actor's process."""
        if actor.process is not None and actor.runs:
            self.cause("kill", actor.who, at=now())
            actor.process.kill()

    async def keep_cast(self) -> None:
        """Start whoever has ended, a moment later, for as long as this runs."""
        while True:
            await asyncio.sleep(_RESTART_LOOKS)
            if self.is_dark:
                continue
            for actor in self.cast.fallen():
                actor.start()
