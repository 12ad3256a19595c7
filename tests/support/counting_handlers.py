"""Handlers for tests over several processes: each start is one line in a file, so nothing is forgotten."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from jdobb_async_queue import JobContext, JobRouter

router = JobRouter()


def _note(line: str) -> None:
    handle = os.open(os.environ["STARTS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


def _first_process() -> int:
    first, _, _ = Path(os.environ["STARTS_FILE"]).read_text(encoding="ascii").partition("\n")
    return int(first.split()[1])


@router.handler("count")
async def count(ctx: JobContext) -> dict[str, int]:
    """Note the start and the process."""
    _note(f"{ctx.id} {os.getpid()}")
    return {"pid": os.getpid()}


@router.handler("hold")
async def hold(ctx: JobContext) -> dict[str, int]:
    """Note the start; in the process that noted the first one never end."""
    _note(f"{ctx.id} {os.getpid()}")
    await ctx.update(0.5, f"attempt {ctx.attempt}")
    if os.getpid() == _first_process():
        await asyncio.Event().wait()
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@router.handler("cancellable")
async def cancellable(ctx: JobContext) -> None:
    """Note the start, and the cancellation that it waits for."""
    _note(f"{ctx.id} {os.getpid()}")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        _note(f"{ctx.id} cancelled")
        raise
