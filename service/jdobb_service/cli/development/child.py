"""The process that serves, seen from the one that starts it anew."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import replace

from jdobb_service.cli.development.program import Plan

_PROGRAM = ("-m", "jdobb_service.cli.development.program")
_MOMENT = 2.0
"""Seconds that a child has which was told to end at once."""
_LAST_RESORT = 6.0
"""Seconds beyond the grace after which a child that was asked to end is killed."""


class Child:
    """One run of the program, in a session of its own: no Ctrl-C reaches it but what it is sent."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int, grace: float) -> None:
        self._process, self._pipe, self._patience = process, pipe, grace + _LAST_RESORT
        self.ended = asyncio.ensure_future(process.wait())

    @classmethod
    async def start(cls, plan: Plan, grace: float) -> Child:
        """Start it; it has the plan's socket, and ends when this process is gone."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *_PROGRAM,
                replace(plan, parent=reading).argument(),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(plan.listener, reading),
                start_new_session=True,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(process, writing, grace)

    async def drain(self) -> None:
        """Let it end in order, by force when its time is over."""
        self._signal(signal.SIGTERM)
        _, late = await asyncio.wait([self.ended], timeout=self._patience)
        if late:
            self.kill()
            await self.ended

    async def hurry(self) -> None:
        """Tell it again, so that it gives running jobs back at once, and wait for a moment."""
        self._signal(signal.SIGTERM)
        await asyncio.wait([self.ended], timeout=_MOMENT)

    def kill(self) -> None:
        """End it and all that it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        await self.ended
        os.close(self._pipe)

    def _signal(self, number: signal.Signals) -> None:
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
