"""Notices when the own event loop stood still: a starved worker renews no lease, and that is a cause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chaos.history import Event, Fault, now

_LOOK_EVERY = 0.05
NOTICED = 0.1
"""Seconds of delay from which on a stall is written down."""


async def watch_stalls(write: Callable[[Event], None], worker: str) -> None:
    """Write down each stall, for as long as this runs."""
    while True:
        asleep_at = now()
        await asyncio.sleep(_LOOK_EVERY)
        awake_at = now()
        if awake_at - asleep_at > _LOOK_EVERY + NOTICED:
            write(Fault(at=asleep_at, fault="pause", target=worker, until=awake_at))
            write(Fault(at=asleep_at, fault="stall", target=worker, until=awake_at))
