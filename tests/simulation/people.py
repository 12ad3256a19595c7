"""Who uses the queue in a simulation: producers, an operator, and watchers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from chaos.history import Acknowledged, Asked, Read, Refused, Seen, WatchEnded
from jdobb_async_queue import BackendError, Broadcaster, Idempotency, JobNotFound, JobQueueError
from tests.simulation.loop import Process
from tests.simulation.plans import JOB_TYPES, Intent, Plans
from tests.simulation.world import World


class Producer:
    """Enqueues jobs; what is safe to repeat it sends again until there is an answer, or twice at once."""

    def __init__(self, world: World, process: Process, plans: Plans) -> None:
        self._world, self._plans = world, plans
        self._queue, _ = world.queue(process)

    async def produce(self, until: float) -> None:
        """Enqueue a job every now and then."""
        while self._world.loop.time() < until:
            intent = self._plans.intent()
            times = 2 if intent.is_safe_to_repeat and self._world.rng.random() < 0.2 else 1
            await asyncio.gather(*[self.enqueue(intent) for _ in range(times)])
            await asyncio.sleep(self._world.rng.expovariate(2.0))

    async def enqueue(self, intent: Intent) -> None:
        """Enqueue one job."""
        record, time, job = self._world.record, self._world.loop.time, intent.job
        key = intent.key and Idempotency(scope="producers", key=intent.key, fingerprint=intent.op)
        while True:
            asked_at = time()
            delay = intent.not_before
            record(
                Asked(
                    at=asked_at,
                    op=intent.op,
                    job=job.job_id,
                    job_type=job.job_type,
                    key=intent.key,
                    unique_key=job.unique_key,
                    not_before_ms=None if delay is None else self._world.clock.now() + round(delay * 1000),
                )
            )
            try:
                told = await self._queue.submit(job, idempotency=key or None)
            except BackendError:
                if not intent.is_safe_to_repeat:
                    return
                await asyncio.sleep(self._world.rng.random())
            except JobQueueError as error:
                record(Refused(at=time(), asked_at=asked_at, op=intent.op, error=type(error).__name__))
                return
            else:
                record(
                    Acknowledged(
                        at=time(), asked_at=asked_at, op=intent.op, job=told.job.id, created=told.created
                    )
                )
                self._world.job_ids.append(told.job.id)
                return


class Operator:
    """Cancels, retries, settles by hand, deletes, pauses, and reads, whatever comes to hand."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._queue, _ = world.queue(process)

    async def meddle(self, until: float) -> None:
        """Do something every now and then."""
        rng, time = self._world.rng, self._world.loop.time
        acts = [self._cancel, self._cancel, self._retry, self._retry, self._settle, self._delete, self._pause]
        while time() < until:
            await asyncio.sleep(rng.expovariate(2.0))
            if not self._world.job_ids:
                continue
            job_id = rng.choice(self._world.job_ids[-12:])
            try:
                await rng.choice(acts)(job_id)
                await self._read(job_id)
            except BackendError:
                continue

    async def _read(self, job_id: str) -> None:
        asked_at = self._world.loop.time()
        job = await self._queue.get(job_id)
        if job is not None:
            read = Read(
                at=self._world.loop.time(),
                asked_at=asked_at,
                job=job_id,
                status=job.status.value,
                attempt=job.attempt,
            )
            self._world.record(read)

    async def _cancel(self, job_id: str) -> None:
        await self._queue.cancel(job_id, "not needed")

    async def _retry(self, job_id: str) -> None:
        await self._queue.retry(job_id)

    async def _settle(self, job_id: str) -> None:
        if self._world.rng.random() < 0.5:
            await self._queue.complete(job_id, {"by": "hand"})
        else:
            await self._queue.fail(job_id, "by hand")

    async def _delete(self, job_id: str) -> None:
        if not job_id.startswith("job-"):  # an own id could be enqueued again
            await self._queue.delete(job_id)

    async def _pause(self, _: str) -> None:
        job_type = self._world.rng.choice(JOB_TYPES)
        await self._queue.pause(job_type)
        await asyncio.sleep(self._world.rng.random())
        await self._queue.resume(job_type)


class Watcher:
    """Follows jobs live, and goes on after the last update that it saw when the way to the store breaks."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process
        queue, _ = world.queue(process)
        self._broadcaster = Broadcaster(queue)
        self.following: list[asyncio.Task[None]] = []

    async def watch(self, until: float) -> None:
        """Begin to follow a job every now and then."""
        while self._world.loop.time() < until:
            await asyncio.sleep(self._world.rng.expovariate(1.0))
            if self._world.job_ids:
                job_id = self._world.rng.choice(self._world.job_ids[-6:])
                self.following.append(self._process.start(self.follow(job_id)))

    async def follow(self, job_id: str) -> None:
        """Follow one job to its end."""
        time = self._world.loop.time
        name, last = f"{self._process.name}-{len(self.following)}", 0
        while True:
            try:
                async with aclosing(self._broadcaster.subscribe(job_id, after=last)) as updates:
                    async for update in updates:
                        last = update.seq
                        seen = Seen(
                            at=time(), job=job_id, watcher=name, seq=last, status=update.status.value,
                            kind=update.kind, attempt=update.attempt, gap=update.gap,
                        )  # fmt: skip
                        self._world.record(seen)
                self._world.record(WatchEnded(at=time(), job=job_id, watcher=name))
            except BackendError:
                await asyncio.sleep(self._world.rng.random())
            except JobNotFound:
                return
            else:
                return
