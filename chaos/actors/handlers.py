"""The jobs of a run: quick ones and long ones, good ones and bad ones. Each start and end is written down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from chaos.actors.part import Part
from chaos.actors.stalls import watch_stalls
from chaos.history import Ended, Event, Fault, Started, now
from jdobb_async_queue import (
    FailNow,
    ForkedProcess,
    JobContext,
    JobQueue,
    JobRouter,
    RetryLater,
    RetryPolicy,
    Snooze,
)

Body = Callable[[JobContext], Awaitable[dict[str, Any] | None]]

RETRIES = RetryPolicy(max_attempts=4, base=0.05, factor=2, cap=0.5, jitter=0.2)
_HOGGED = 64 * 1024 * 1024
"""Bytes that the memory hog asks for at a time."""


class Handlers:
    """Makes the handlers of one process; ``queue`` is what a forked child tries to use."""

    def __init__(self, part: Part, write: Callable[[Event], None], queue: JobQueue | None = None) -> None:
        self._part, self._write, self._queue = part, write, queue
        self._lease = part.lease
        self._rng = part.rng

    def router(self) -> JobRouter:
        """Return all of them."""
        router = JobRouter(lifespan=self._watched)
        for job_type, body in {
            "quick": _quick,
            "nap": _nap,
            "long": self._long,
            "chatty": _chatty,
            "flaky": _flaky,
            "moody": _moody,
            "hasty": _hasty,
            "blocks": self._blocks,
            "forks": self._forks,
            "hogs": _hogs,
            "deaf": self._deaf,
            "swallows": _swallows,
            "dies": self._dies,
        }.items():
            options: dict[str, Any] = {"retry": RETRIES} if job_type in {"flaky", "moody", "hasty"} else {}
            if job_type == "hasty":
                options["timeout"] = 0.2
            router.register_handler(job_type, self._witnessed(body), **options)
        return router

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Write down when the event loop stands still, for as long as the worker runs."""
        watching = asyncio.ensure_future(watch_stalls(self._write, self._part.who))
        try:
            yield
        finally:
            watching.cancel()

    def _witnessed(self, body: Body) -> Body:
        who = self._part.who

        async def handler(ctx: JobContext) -> dict[str, Any] | None:
            job = ctx.job
            token = job.lease_token or ""
            began = now()
            self._write(
                Started(
                    at=began, job=job.id, attempt=job.attempt, token=token, worker=who, op=ctx.data.get("op"),
                    claimed_ms=None if job.started_at is None else round(job.started_at.timestamp() * 1000),
                    run_ms=round(job.run_at.timestamp() * 1000),
                )
            )  # fmt: skip
            how = "returned"
            try:
                return await body(ctx)
            except asyncio.CancelledError:
                how = "cancelled"
                raise
            except Exception:
                how = "raised"
                raise
            finally:
                self._write(Ended(at=now(), job=job.id, token=token, worker=who, how=how))

        return handler

    # -- those that need to know how long a lease is ------------------------------------------------------

    async def _long(self, ctx: JobContext) -> dict[str, Any]:
        """Take longer than a lease: only heartbeats keep it."""
        await asyncio.sleep(self._lease * ctx.data.get("leases", 1.3))
        return {"op": ctx.data["op"]}

    async def _blocks(self, ctx: JobContext) -> dict[str, Any]:
        """Stand on the event loop for longer than a lease: no heartbeat leaves this process meanwhile."""
        if ctx.attempt == 1:
            time.sleep(self._lease * 1.5)  # noqa: ASYNC251 - it is what this handler is for
        return {"op": ctx.data["op"]}

    async def _deaf(self, ctx: JobContext) -> dict[str, Any]:
        """Go on for a while although told to stop."""
        ends = now() + self._lease
        while now() < ends:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
        return {"op": ctx.data["op"]}

    async def _forks(self, ctx: JobContext) -> dict[str, Any]:
        """Fork; the child tries to use the queue, is refused, and is gone."""
        child = os.fork()
        if child == 0:
            os._exit(0 if self._is_refused() else 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        if status:
            raise FailNow("a forked child was allowed to use its parent's queue")
        return {"op": ctx.data["op"], "refused": True}

    def _is_refused(self) -> bool:
        """Tell whether the queue refuses to be used, without ever going back to the event loop."""
        try:
            if self._queue is not None:
                self._queue.get("any").send(None)
        except ForkedProcess:
            return True
        except BaseException:  # noqa: BLE001 - the parent fails the job
            return False
        return self._queue is None

    async def _dies(self, _: JobContext) -> None:
        """End the whole process, as a crash in native code does."""
        self._write(Fault(at=now(), fault="kill", target=self._part.who))
        os._exit(139)


async def _quick(ctx: JobContext) -> dict[str, Any]:
    await asyncio.sleep(ctx.data.get("seconds", 0.0))
    return {"op": ctx.data["op"]}


async def _nap(ctx: JobContext) -> dict[str, Any]:
    await asyncio.sleep(ctx.data.get("seconds", 0.1))
    return {"op": ctx.data["op"]}


async def _chatty(ctx: JobContext) -> dict[str, Any]:
    """Report progress, and lines between."""
    for step in range(1, 9):
        await ctx.update(step / 10, f"step {step}")
        if step % 4 == 0:
            await ctx.log(f"line {step}")
        await asyncio.sleep(0.02)
    return {"op": ctx.data["op"]}


async def _flaky(ctx: JobContext) -> dict[str, Any]:
    """Fail as often as the data say."""
    if ctx.job.failures < ctx.data.get("failures", 1):
        raise RuntimeError("not yet")
    return {"op": ctx.data["op"]}


async def _moody(ctx: JobContext) -> dict[str, Any]:
    """Choose an outcome of each kind."""
    mood = ctx.data.get("mood")
    if ctx.attempt == 1 and mood == "snooze":
        raise Snooze(0.2)
    if ctx.attempt == 1 and mood == "later":
        raise RetryLater(0.2)
    if mood == "fail":
        raise FailNow("as the data say")
    return {"op": ctx.data["op"]}


async def _hasty(ctx: JobContext) -> dict[str, Any]:
    """Run into the timeout in the first attempt."""
    if ctx.attempt == 1:
        await asyncio.sleep(5)
    return {"op": ctx.data["op"]}


async def _hogs(_: JobContext) -> None:
    """Ask for memory until there is none: the process has a limit."""
    hoard = []
    while True:
        hoard.append(bytearray(_HOGGED))
        await asyncio.sleep(0)


async def _swallows(ctx: JobContext) -> dict[str, Any]:
    """Take the cancellation for nothing and return, as if all was well."""
    try:
        await asyncio.sleep(ctx.data.get("seconds", 1.0))
    except asyncio.CancelledError:
        return {"op": ctx.data["op"], "swallowed": True}
    return {"op": ctx.data["op"]}
