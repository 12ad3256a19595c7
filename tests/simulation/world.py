"""What everybody in a simulation shares: the loop, the store, the way to it, and the history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.history import Event, Fault, Run
from jdobb_async_queue import JobQueue, Worker
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.instrumentation import facts
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.network import Link, Network, Weather
from tests.simulation.store import Store, VirtualClock
from tests.support.records import dice


@dataclass
class Member:
    """A worker in its process."""

    process: Process
    worker: Worker
    link: Link
    task: asyncio.Task[None]

    @property
    def has_room(self) -> bool:
        """Tell whether it could claim."""
        crew = self.worker._crew
        return crew is not None and crew._shift.slots.free > 0 and not self.worker._stopping


@dataclass
class World:
    """One run's surroundings."""

    seed: int
    backend_type: Callable[..., MemoryBackend] = MemoryBackend
    worker_type: Callable[..., Worker] = Worker
    keeps_trace: bool = False
    storm: float | None = None
    """How bad it gets; None leaves it to the seed, by which nothing goes wrong in one run of four."""
    lease: float = 0.0
    """Seconds; 0 leaves it to the seed."""
    events: list[Event] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    facts: list[facts.Fact] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)
    """Those that somebody has been told, in that order."""
    faults_end: bool = False
    is_over: bool = False

    def __post_init__(self) -> None:
        self.rng = dice(self.seed)
        self.lease = self.lease or self.rng.choice([0.5, 1.0, 2.0])
        drawn = self.rng.choice([0.0, 0.5, 1.0, 2.0])
        self.storm = drawn if self.storm is None else self.storm
        self.loop = SimulatedLoop(self.rng)
        self.clock = VirtualClock(self.loop)
        backend = self.backend_type(clock=self.clock, rng=self.rng, updates_kept=self.rng.choice([12, 256]))
        store = Store(backend, self.loop, self.record)
        weather = Weather(
            0.01 * self.storm,
            0.03 * self.storm,
            0.01 * self.storm,
            0.01 * self.storm,
            0.05 * self.storm,
            self.rng.choice([0, 0.02]),
        )
        note = self.trace.append if self.keeps_trace else None
        self.network = Network(self.loop, store, self.rng, weather, self.record, note)
        self.record(Run(at=0, lease=self.lease, seed=self.seed, records=("ended", "renewed")))

    @property
    def backend(self) -> MemoryBackend:
        """Return the store itself."""
        return self.network.store.backend

    def record(self, event: Event) -> None:
        """Write an event down."""
        if not self.is_over:
            self.events.append(event)

    def queue(self, process: Process) -> tuple[JobQueue, Link]:
        """Return a process's queue, and its way to the store."""
        link = Link(self.network, process)
        return JobQueue(link, lease=self.lease, rng=self.rng), link

    def fault(self, kind: str, target: str, seconds: float | None = None) -> None:
        """Write down that a fault begins now."""
        now = self.loop.time()
        self.record(
            Fault(at=now, fault=kind, target=target, until=None if seconds is None else now + seconds)
        )

    def calm_down(self) -> None:
        """Let nothing go wrong any more."""
        self.faults_end = True
        self.network.weather = Weather(latency=self.network.weather.latency)
