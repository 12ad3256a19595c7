"""Conducts a run: starts everybody, lets the faults strike, waits for the end, and reads what is there."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

from chaos.actors.part import Journal, Part
from chaos.client import Client, Unanswered
from chaos.drain import drain
from chaos.faults import PROCESSES, SURROUNDINGS
from chaos.history import Acknowledged, Drained, Event, Run, Seen, now, read_history
from chaos.lanes import Lane
from chaos.options import Options
from chaos.scene import Scene
from chaos.stage.cast import (
    API,
    HTTP_PRODUCER,
    HTTP_WORKER,
    OPERATOR,
    PRODUCER,
    PUTTING_IN,
    WATCHER,
    WORKER,
    Actor,
    Cast,
)
from chaos.stage.stores import Store, new_store
from tests.support.ports import free_port
from tests.support.proxy import Proxy

_READY_WITHIN = 120.0
_LEAVE_WITHIN = 60.0
_BACKLOG = 400
_LOOK_EVERY = 0.5
_INSTANCES = 2


@dataclass
class Outcome:
    """What a run left: its events, what was found beside them, and how long its parts took in seconds."""

    events: list[Event]
    defects: list[str] = field(default_factory=list)
    """What the store's own check found, and what the drain did not bring to an end."""
    struck: Counter[str] = field(default_factory=Counter)
    store: str = ""
    running: float = 0.0
    draining: float = 0.0


class Conductor:
    """One run."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._write = Journal(options.folder, "conductor")
        self._rng = random.Random(options.seed)  # noqa: S311 - choices to repeat, not to keep secret
        self._store: Store = new_store(options.backend, options.folder, options.durability)
        self._proxies: list[Proxy] = []
        self._ports = [free_port() for _ in range(1 if options.backend == "memory" else _INSTANCES)]
        self._clock = options.folder / "clock"
        self._stored = self._forgotten = 0
        self._client = Client([f"http://127.0.0.1:{port}" for port in self._ports], self._write)
        self._lanes = [
            Lane(
                [fault for fault in options.faults if fault.lane == lane],
                random.Random(f"{options.seed} {lane}"),  # noqa: S311 - the same
                options.most_gap,
            )
            for lane in (PROCESSES, SURROUNDINGS)
        ]

    async def run(self) -> Outcome:
        """Do all of it; whatever happens, nothing is left running."""
        options = self._options
        self._write(
            Run(
                at=now(), lease=options.lease, records=("ended", "renewed"), seed=options.seed,
                about={"backend": options.backend, "durability": options.durability},
            )
        )  # fmt: skip
        await self._store.start()
        scene: Scene | None = None
        try:
            async with contextlib.AsyncExitStack() as stack:
                for port in self._ports:
                    self._proxies.append(await stack.enter_async_context(Proxy(port)))
                scene = self._set_the_scene()
                stack.callback(scene.cast.end)
                stack.push_async_callback(self._client.close)
                outcome = await self._perform(scene)
            outcome.defects += await self._store.defects()
        finally:
            await self._store.stop()
        outcome.events = read_history(options.folder)
        return outcome

    async def _perform(self, scene: Scene) -> Outcome:
        outcome = Outcome([], store=self._store.version())
        for actor in scene.cast.actors:
            actor.start()
        keeping = asyncio.ensure_future(scene.keep_cast())
        try:
            await self._until_ready()
            begun_at = now()
            await self._strike(scene)
            outcome.running = now() - begun_at
            outcome.defects += await self._end(scene)
            outcome.draining = now() - begun_at - outcome.running
        finally:
            keeping.cancel()
        for lane in self._lanes:
            outcome.struck += lane.struck
        return outcome

    async def _until_ready(self) -> None:
        ends = now() + _READY_WITHIN
        while (await self._client.call("GET", "/readyz")).is_error:
            if now() > ends:
                raise Unanswered("the service is not ready")
            await asyncio.sleep(_LOOK_EVERY)

    async def _strike(self, scene: Scene) -> None:
        """Let the faults strike until the time is over and the jobs are there."""
        options = self._options
        running = [asyncio.ensure_future(lane.run(scene)) for lane in self._lanes]
        ends = now() + options.seconds
        try:
            while now() < ends or await self._jobs() < options.jobs or self._faults() < options.least_faults:
                await asyncio.sleep(_LOOK_EVERY)
                for task in running:
                    if task.done():
                        task.result()
            for lane in self._lanes:
                lane.stop()
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _jobs(self) -> int:
        """Return how many jobs were enqueued so far, also those that went with the process of their store."""
        stored = sum((await self._client.counts()).values())
        self._forgotten += max(0, self._stored - stored)
        self._stored = stored
        return self._forgotten + stored

    def _faults(self) -> int:
        return sum(lane.struck.total() for lane in self._lanes)

    async def _end(self, scene: Scene) -> list[str]:
        """Let everybody finish, and read what is there; return what did not come to an end."""
        cast = scene.cast
        cast.dismiss(*PUTTING_IN)
        defects = await drain(self._client, 2 * self._options.lease + 10)
        if not defects:
            self._write(Drained(at=now()))
        ends = now() + _LEAVE_WITHIN
        for actor in cast.of(*PUTTING_IN):
            if actor.process is not None and not await asyncio.to_thread(
                actor.process.wait, max(0.1, ends - now())
            ):
                defects.append(f"L1: {actor.who} did not come to an end; see {actor.log.name}")
        cast.dismiss(HTTP_WORKER, WORKER)
        for actor in cast.of(HTTP_WORKER, WORKER):
            if actor.process is not None:
                await asyncio.to_thread(actor.process.end)
        events = read_history(self._options.folder)
        acknowledged = {event.job for event in events if isinstance(event, Acknowledged)}
        watched = {event.job for event in events if isinstance(event, Seen)}
        async for snapshot in self._client.snapshots(acknowledged, watched):
            self._write(snapshot)
        return defects

    # -- who takes part --------------------------------------------------------------------------------

    def _set_the_scene(self) -> Scene:
        options = self._options
        return Scene(
            folder=options.folder,
            lease=options.lease,
            rng=self._rng,
            write=self._write,
            cast=Cast(self._house() if options.backend == "memory" else self._processes()),
            store=self._store,
            http_proxies=self._proxies,
            client=self._client,
            clock=self._clock,
        )

    def _part(self, name: str, **options: object) -> Part:
        urls = [f"http://127.0.0.1:{proxy.port}" for proxy in self._proxies]
        turn = len(name) % len(urls)
        return Part(
            name=name,
            folder=str(self._options.folder),
            backend_url=self._store.url,
            lease=self._options.lease,
            seed=self._options.seed,
            urls=urls[turn:] + urls[:turn],
            options=options,
        )

    def _house(self) -> list[Actor]:
        house = Actor(API, self._part("house", port=self._ports[0]), ["-m", "chaos.actors.house"])
        return [house, *self._clients(1.0)]

    def _processes(self) -> list[Actor]:
        is_sqlite = self._options.backend == "sqlite"
        common: dict[str, object] = {"ledger": is_sqlite, "durability": self._options.durability}
        worker: dict[str, object] = dict(common)
        if any(fault.family == "clock" for fault in self._options.faults):
            worker["clock"] = str(self._clock)
        actors = [self._instance(f"api-{n}", port) for n, port in enumerate(self._ports)]
        actors += [
            Actor.of(WORKER, self._part(f"worker-{n}", **worker), opens_store=True)
            for n in range(self._options.workers)
        ]
        rate = 0.65 * self._rate
        producer = self._part("producer", rate=rate, backlog=_BACKLOG, **common)
        return [*actors, Actor.of(PRODUCER, producer, opens_store=True), *self._clients(0.35)]

    def _instance(self, name: str, port: int) -> Actor:
        program = "chaos.actors.serve" if self._options.backend == "sqlite" else "jdobb_service.cli"
        variables = {
            "JDOBB_BACKEND_URL": self._store.url,
            "JDOBB_LEASE": f"{self._options.lease:g}",
            "JDOBB_LOG_LEVEL": "warning",
        }
        arguments = ["-m", program, "serve", "--no-workers", "--port", str(port)]
        part = self._part(name, durability=self._options.durability)
        return Actor(API, part, arguments, variables, opens_store=True)

    def _clients(self, share: float) -> list[Actor]:
        """Return those who use the service over HTTP; ``share`` of the jobs come from its producer."""
        return [
            Actor.of(HTTP_PRODUCER, self._part("http-producer", rate=share * self._rate, backlog=_BACKLOG)),
            Actor.of(HTTP_WORKER, self._part("http-worker")),
            Actor.of(WATCHER, self._part("watcher", rate=4.0)),
            Actor.of(OPERATOR, self._part("operator", rate=3.0)),
        ]

    @property
    def _rate(self) -> float:
        """Return how many jobs a second producers ask for: a little more than is needed in the time."""
        return max(5.0, 1.2 * self._options.jobs / self._options.seconds)
