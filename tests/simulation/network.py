"""The way to the store: calls take time, get lost, arrive late, and answers get lost."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chaos.history import Event, Fault
from jdobb_async_queue import BackendUnavailable, QueueBackend
from jdobb_async_queue.backends.bells import Bell
from jdobb_async_queue.transitions import Transition
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.store import Store

_CALLS = sorted(QueueBackend.__abstractmethods__ - {"now", "watch", "open", "close"})
_PATIENCE = 1.0
"""Seconds after which a caller who got no answer gives up."""
_SLOWEST = 3.0
"""Seconds that a slow answer takes."""


@dataclass(frozen=True)
class Weather:
    """How likely each call meets which fate."""

    lost_request: float = 0.0
    lost_reply: float = 0.0
    late: float = 0.0
    """Of a request that arrives after its sender has given up."""
    slow: float = 0.0
    """Of an answer that its sender waits for too long."""
    deaf: float = 0.0
    """Of a watcher whom no bell wakes."""
    latency: float = 0.002


@dataclass
class Network:
    """What all ways to the store share."""

    loop: SimulatedLoop
    store: Store
    rng: random.Random
    weather: Weather
    record: Callable[[Event], None]
    note: Callable[[str], None] | None = None
    """Takes a line of the trace."""
    is_down: bool = False
    is_over: bool = False
    late: list[asyncio.Task[None]] = field(default_factory=list)
    """The requests that may still arrive."""
    lost_replies: int = 0

    def __post_init__(self) -> None:
        self._context = contextvars.copy_context()

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Begin what belongs to no process: it goes on when its sender dies."""
        return self._context.run(self.loop.create_task, work)


def _forward(name: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: Link, *args: Any, **options: Any) -> Any:
        return await self.call(name, args, options)

    return call


class Link(QueueBackend):
    """One process's way to the store; ``is_cut`` while nothing passes."""

    name = "simulated"

    def __init__(self, network: Network, process: Process) -> None:
        self.is_cut = False
        self._network, self._process = network, process

    async def open(self) -> None:
        """Connect: a call as any other."""
        await self.call("open", (), {})

    async def close(self) -> None:
        """Do nothing: the store lives on."""

    def now(self) -> int:
        """Return the store's clock."""
        return self._network.store.backend.now()

    @contextmanager
    def watch(self, topics: Sequence[str]) -> Iterator[Bell]:
        """Yield a bell for these topics, which sometimes nobody rings."""
        if self._network.rng.random() < self._network.weather.deaf:
            yield Bell()
            return
        with self._network.store.backend.watch(topics) as bell:
            yield bell

    async def call(self, name: str, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """Send a call, and wait for its answer."""
        if self._network.is_over:
            raise BackendUnavailable("the simulation is over")
        sent = self._network.spawn(self._send(name, args, options))
        try:
            return await asyncio.shield(sent)
        except asyncio.CancelledError:
            if name == "claim_pending_jobs":
                sent.add_done_callback(self._give_back)
            raise

    locals().update({name: _forward(name) for name in _CALLS})

    async def _send(self, name: str, args: Sequence[Any], options: dict[str, Any]) -> Any:
        network, rng, begun = self._network, self._network.rng, self._network.loop.time()
        await self._travel()
        if self.is_cut or network.is_down or rng.random() < network.weather.lost_request:
            raise await self._lost(begun, "a request")
        if rng.random() < network.weather.late:
            network.late.append(network.spawn(self._arrive_late(name, args, options)))
            raise await self._lost(begun, "a late request")
        answer = await self._execute(name, args, options)
        await self._travel()
        if rng.random() < network.weather.slow:
            await asyncio.sleep(_SLOWEST * rng.random())
            network.record(Fault(at=begun, fault="cut", target=self._process.name, until=network.loop.time()))
        if self.is_cut or network.is_down or rng.random() < network.weather.lost_reply:
            network.lost_replies += 1
            raise await self._lost(begun, "a reply")
        return answer

    async def _travel(self) -> None:
        latency = self._network.weather.latency
        if latency:
            await asyncio.sleep(latency * self._network.rng.random())

    async def _execute(self, name: str, args: Sequence[Any], options: dict[str, Any]) -> Any:
        network = self._network
        if network.is_over:
            raise BackendUnavailable("the simulation is over")
        try:
            answer = await network.store.execute(self._process.name, name, args, options)
        except Exception as error:
            self._note(name, repr(error))
            raise
        self._note(name, answer)
        return answer

    async def _arrive_late(self, name: str, args: Sequence[Any], options: dict[str, Any]) -> None:
        await asyncio.sleep(_PATIENCE + 3 * self._network.rng.random())
        try:
            await self._execute(name, args, options)
        except Exception:  # noqa: BLE001 - nobody waits for it any more
            return

    async def _lost(self, begun: float, what: str) -> BackendUnavailable:
        network = self._network
        await asyncio.sleep(_PATIENCE * network.rng.random())
        network.record(Fault(at=begun, fault="cut", target=self._process.name, until=network.loop.time()))
        return BackendUnavailable(f"{what} was lost")

    def _give_back(self, sent: asyncio.Task[Any]) -> None:
        """Release what a claim got whose caller was cancelled."""
        if sent.cancelled() or sent.exception() is not None or self._network.is_over:
            return
        changes = [
            Transition.release(record.id, lease_token=record.lease_token or "")
            for record in sent.result().records
        ]
        if changes:
            self._network.spawn(self._execute("apply", (changes,), {}))

    def _note(self, name: str, answer: Any) -> None:
        note = self._network.note
        if note is not None:
            note(f"{self._network.loop.time():.6f} {self._process.name} {name} {answer!r}")
