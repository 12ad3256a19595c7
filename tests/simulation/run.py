"""One run of the simulation, from its seed to the check of its history."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass

from chaos.history import Drained, Event, FaultsEnded, Report, Snapshot, check
from jdobb_async_queue import facts
from jdobb_async_queue.backends.base import ListQuery
from jdobb_async_queue.records import JobRecord
from tests.simulation.faults import Faults
from tests.simulation.handlers import Handler
from tests.simulation.people import Operator, Producer, Watcher
from tests.simulation.plans import JOB_TYPES, Plans
from tests.simulation.world import Member, World

PRODUCE_UNTIL, FAULTS_UNTIL = 10.0, 16.0
"""Virtual seconds."""
TO_DRAIN = 60.0
TO_HEAR = 5.0
"""Seconds after the drain within which each watcher has seen the end."""
IDLE_AFTER = 5.0
"""Seconds that no worker may idle beside ready jobs."""
TICK = 0.1


@dataclass(frozen=True)
class Result:
    """What a run leaves."""

    seed: int
    events: list[Event]
    trace: list[str]
    report: Report
    trouble: list[str]
    """What no invariant is about: errors that nobody handled, loops that failed, idle workers."""
    figures: Counter[str]

    @property
    def ok(self) -> bool:
        """Tell whether all went well."""
        return self.report.ok and not self.trouble

    @property
    def broken(self) -> set[str]:
        """Return the names of the violated invariants; ``idle`` is that no worker idles beside ready jobs."""
        return self.report.broken | ({"idle"} if any("idles" in each for each in self.trouble) else set())

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}:", *self.trouble, str(self.report)])


def simulate(world: World) -> Result:
    """Run a world to its end, and check its history."""
    run = _Run(world)
    try:
        world.loop.run_until_complete(run.run())
    finally:
        world.is_over = world.network.is_over = True
        world.loop.bury()
        world.loop.close()
    report = check(world.events)
    told = Counter(
        lost_replies=world.network.lost_replies,
        reconnects=sum(isinstance(fact, facts.BackendBack) for fact in world.facts),
        refused_to_workers=sum(
            isinstance(fact, facts.JobSettled) and fact.outcome == "refused" for fact in world.facts
        ),
    )
    return Result(world.seed, world.events, world.trace, report, run.trouble, report.figures + told)


class _Run:
    def __init__(self, world: World) -> None:
        self._world = world
        self._engaged = 0
        self._idle_since: dict[str, float] = {}
        self.trouble: list[str] = []

    async def run(self) -> None:
        """Let everybody work while things go wrong, then let it drain and read everything."""
        world, loop = self._world, self._world.loop
        for _ in range(world.rng.choice([2, 3])):
            self._engage()
        looking_after = loop.create_task(self._look_after())
        plans = Plans(world.rng, world.lease)
        people = []
        for name in ("producer-0", "producer-1"):
            process = loop.process(name)
            people.append(process.start(Producer(world, process, plans).produce(PRODUCE_UNTIL)))
        process = loop.process("operator")
        people.append(process.start(Operator(world, process).meddle(PRODUCE_UNTIL)))
        process = loop.process("watcher")
        watcher = Watcher(world, process)
        people.append(process.start(watcher.watch(PRODUCE_UNTIL)))
        await Faults(world).strike(FAULTS_UNTIL)
        world.calm_down()
        await asyncio.gather(*people, *world.network.late)
        for job_type in JOB_TYPES:
            await world.backend.resume(job_type)
        await self._drain()
        await self._hear(watcher.following)
        looking_after.cancel()
        await self._dismiss()
        await self._read_all()
        self.trouble += [str(context.get("exception") or context["message"]) for context in loop.failures]
        self.trouble += [str(fact) for fact in world.facts if isinstance(fact, facts.LoopFailed)]

    # -- workers ---------------------------------------------------------------------------------------

    def _engage(self) -> None:
        """Start a worker in a process of its own."""
        world, n = self._world, self._engaged
        self._engaged += 1
        process = world.loop.process(f"worker-{n}")
        queue, link = world.queue(process)
        worker = world.worker_type(
            queue, max_concurrent=world.rng.choice([2, 4, 8]), shutdown_grace=0.5, clock=world.clock
        )
        for job_type in JOB_TYPES:
            worker.register_handler(job_type, Handler(world, process))
        worker.add_listener(world.facts.append)
        world.members.append(Member(process, worker, link, process.start(worker.run())))

    async def _look_after(self) -> None:
        """Replace workers that have ended, and notice those that idle."""
        world = self._world
        while True:
            await asyncio.sleep(TICK)
            for member in list(world.members):
                if member.task.done() or not member.process.is_alive:
                    world.members.remove(member)
                    self._engage()
            ready = sum(type_stats.ready for type_stats in (await world.backend.stats()).values())
            paused = any(settings.paused for settings in (await world.backend.job_types()).values())
            for member in world.members:
                is_well = member.process.runs and not member.link.is_cut and not world.network.is_down
                self._watch_idleness(
                    member, is_idle=bool(ready) and not paused and is_well and member.has_room
                )

    def _watch_idleness(self, member: Member, *, is_idle: bool) -> None:
        name, now = member.process.name, self._world.loop.time()
        if not is_idle:
            self._idle_since.pop(name, None)
        elif now - self._idle_since.setdefault(name, now) > IDLE_AFTER:
            self.trouble.append(f"{name} idles beside ready jobs since {self._idle_since.pop(name):.1f}")

    async def _dismiss(self) -> None:
        """Stop all workers in order."""
        members = [member for member in self._world.members if member.process.is_alive]
        await asyncio.gather(*[member.process.start(member.worker.stop()) for member in members])
        for member in members:
            if (error := member.task.exception()) is not None:
                self.trouble.append(f"{member.process.name} ended with {error!r}")

    # -- the end ---------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        world, loop = self._world, self._world.loop
        world.record(FaultsEnded(at=loop.time()))
        gives_up_at = loop.time() + TO_DRAIN
        while loop.time() < gives_up_at:
            counts = (await world.backend.counts()).values()
            if not any(of_type.get(status) for of_type in counts for status in ("pending", "processing")):
                world.record(Drained(at=loop.time()))
                return
            await asyncio.sleep(TICK)

    async def _hear(self, following: list[asyncio.Task[None]]) -> None:
        _, waiting = await asyncio.wait(following, timeout=TO_HEAR) if following else (set(), set())
        if waiting:
            self.trouble.append(f"{len(waiting)} watchers wait for an end that has been")

    async def _read_all(self) -> None:
        page = await self._world.backend.list_jobs(ListQuery(limit=10_000, examine=100_000))
        for record in page.records:
            self._world.record(await self._snapshot(record))

    async def _snapshot(self, record: JobRecord) -> Snapshot:
        page = await self._world.backend.read_updates(record.id, 0)
        settings, is_held = record.effective(), record.unique_until == "finished"
        return Snapshot(
            at=self._world.loop.time(), job=record.id, status=record.status, op=json.loads(record.data)["op"],
            attempt=record.attempt, failures=record.failures, losses=record.losses,
            max_attempts=settings.retry.max_attempts, max_lost=settings.max_lost, error=record.error,
            results=None if record.results is None else json.loads(record.results),
            job_type=record.job_type, unique_key=record.unique_key if is_held else None,
            created_ms=record.created_at, completed_ms=record.completed_at,
            updates=tuple((each.seq, each.kind, each.status) for each in page.updates) if page else (),
        )  # fmt: skip
