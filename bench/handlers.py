"""Handlers of our own service while it is measured."""

from __future__ import annotations

import asyncio
import random
import time

from jdobb_async_queue import JobContext, JobRouter

router = JobRouter()


@router.handler("noop")
async def noop(_ctx: JobContext) -> None:
    """Do nothing."""


@router.handler("tick")
async def tick(ctx: JobContext) -> None:
    """Report progress each second, with the instant in nanoseconds as the message."""
    await asyncio.sleep(random.random())  # noqa: S311 - so that the jobs do not tick all at once
    while True:
        await ctx.update(message=str(time.time_ns()))
        await asyncio.sleep(1)
