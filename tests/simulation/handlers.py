"""The handler of a simulation: it does what its job's plan says, and writes down when it begins and ends."""

from __future__ import annotations

import asyncio
from typing import Any

from chaos.history import Ended, Started
from jdobb_async_queue import FailNow, JobContext, RetryLater, Snooze
from tests.simulation.loop import Process
from tests.simulation.world import World


class Handler:
    """Runs jobs in one process."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process

    async def __call__(self, context: JobContext) -> dict[str, Any]:
        """Run one attempt."""
        self._begins(context)
        how = "returned"
        try:
            return await self._work(context)
        except BaseException as error:
            how = type(error).__name__
            raise
        finally:
            self._ends(context, how)
            if how == "CancelledError" and context.data["is_stubborn"]:
                await asyncio.sleep(2 * self._world.lease)

    async def _work(self, context: JobContext) -> dict[str, Any]:
        job, plan = context.job, context.data
        if plan["is_poison"] and not self._world.faults_end:
            self._world.fault("kill", self._process.name)
            self._process.kill()
            await asyncio.sleep(0)
        for number, seconds in enumerate(plan["steps"], 1):
            await asyncio.sleep(seconds)
            await context.update(number / 4, f"step {number}")
            await context.log(f"line {number}")
        if plan["snoozes"] and job.attempt == 1:
            raise Snooze(0.3)
        if job.failures < plan["fails"]:
            errors = {"error": RuntimeError("boom"), "later": RetryLater(0.3), "final": FailNow("no")}
            raise errors[plan["how"]]
        return {"op": plan["op"], "attempt": job.attempt}

    def _begins(self, context: JobContext) -> None:
        job, now = context.job, self._world.loop.time()
        started = Started(
            at=now, job=job.id, attempt=job.attempt, token=job.lease_token or "", worker=self._process.name,
            op=context.data["op"],
        )  # fmt: skip
        self._world.record(started)

    def _ends(self, context: JobContext, how: str) -> None:
        job, now = context.job, self._world.loop.time()
        ended = Ended(at=now, job=job.id, token=job.lease_token or "", worker=self._process.name, how=how)
        self._world.record(ended)
