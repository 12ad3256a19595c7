"""Handlers of the command's tests; they are copied to where the command runs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from jdobb_async_queue import JobContext, JobRouter

router = JobRouter()


@router.handler("echo")
async def echo(ctx: JobContext) -> dict:
    await ctx.update(0.5, "half way")
    return ctx.data


@router.handler("boom")
async def boom(_ctx: JobContext) -> None:
    raise ValueError("no luck\nat all")


@router.handler("hold")
async def hold(ctx: JobContext) -> dict:
    """Wait until a file named like the job appears; say so while waiting."""
    await ctx.update(0.25, "holding")
    while not Path(f"release-{ctx.id}").exists():  # noqa: ASYNC110, ASYNC240 - the test looks for a file, or blocks on purpose
        await asyncio.sleep(0.01)
    return {"held": True}


@router.handler("block")
async def block(ctx: JobContext) -> None:
    """Hold the event loop itself."""
    Path(f"blocking-{ctx.id}").touch()  # noqa: ASYNC240 - the test looks for a file, or blocks on purpose
    time.sleep(60)  # noqa: ASYNC251 - the test looks for a file, or blocks on purpose
