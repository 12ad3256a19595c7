"""Programs of the pages, run by a Python of their own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.waiting import WITHIN


@asynccontextmanager
async def running(program: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the block ends; what has not ended by then is killed."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job, which hands it on
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def interrupt(process: asyncio.subprocess.Process) -> str:
    """Do what Ctrl-C does, and return the last line that the program wrote when it has ended."""
    process.send_signal(signal.SIGINT)
    _, complained = await asyncio.wait_for(process.communicate(), timeout=WITHIN)
    return complained.decode().splitlines()[-1]


async def output_of(program: str) -> str:
    """Return what a program prints; it has to end well, and say nothing on standard error."""
    async with running(program) as process:
        printed, complained = await asyncio.wait_for(process.communicate(), timeout=WITHIN)
    assert (process.returncode, complained.decode()) == (0, "")
    return printed.decode()
