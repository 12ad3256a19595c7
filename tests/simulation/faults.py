"""What goes wrong in a simulation: workers are killed, paused, cut off and replaced; the store goes away."""

from __future__ import annotations

import asyncio

from chaos.history import STORE
from tests.simulation.world import Member, World


class Faults:
    """Injects faults for a while."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def strike(self, until: float) -> None:
        """Do harm every now and then; return when everything has healed."""
        rng, loop = self._world.rng, self._world.loop
        harms = [self._kill, self._pause, self._pause, self._cut, self._outage, self._replace]
        begun = []
        while self._world.storm and loop.time() < until:
            await asyncio.sleep(rng.expovariate(0.5 * self._world.storm))
            members = [member for member in self._world.members if member.process.runs]
            if members and not self._world.network.is_down:
                begun.append(loop.create_task(rng.choice(harms)(rng.choice(members))))
        await asyncio.gather(*begun)

    async def _kill(self, member: Member) -> None:
        self._world.fault("kill", member.process.name)
        member.process.kill()

    async def _pause(self, member: Member) -> None:
        seconds = self._world.lease * self._world.rng.uniform(0.1, 2.5)
        self._world.fault("pause", member.process.name, seconds)
        member.process.pause()
        await asyncio.sleep(seconds)
        member.process.resume()

    async def _cut(self, member: Member) -> None:
        seconds = self._world.lease * self._world.rng.uniform(0.1, 2.0)
        self._world.fault("cut", member.process.name, seconds)
        member.link.is_cut = True
        await asyncio.sleep(seconds)
        member.link.is_cut = False

    async def _outage(self, _: Member) -> None:
        seconds = self._world.rng.uniform(0.1, 3.0)
        self._world.fault("cut", STORE, seconds)
        self._world.network.is_down = True
        await asyncio.sleep(seconds)
        self._world.network.is_down = False

    async def _replace(self, member: Member) -> None:
        """Stop a worker in order."""
        self._world.fault("stop", member.process.name)
        member.process.start(member.worker.stop())
