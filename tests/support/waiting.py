"""Waiting for a condition, in an event loop and outside of one."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

WITHIN = 90.0
"""Seconds after which a wait counts as one without an end, on however slow a machine."""


def until(condition: Callable[[], object], within: float = WITHIN) -> None:
    """Return when the condition holds; outside an event loop."""
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, "the condition did not come true"
        time.sleep(0.02)


async def eventually(condition: Callable[[], Awaitable[bool] | bool], within: float = WITHIN) -> None:
    """Wait until a condition, plain or awaited, holds; ``within`` seconds at most."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + within
    while True:
        holds = condition()
        if not isinstance(holds, bool) and inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert loop.time() < ends, "the condition did not come true"
        await asyncio.sleep(0.005)
