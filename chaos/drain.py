"""Waits until every job has ended. How long it takes is the machine's affair, that it goes on the queue's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chaos.client import Client
from chaos.history import now

_LOOK_EVERY = 0.25
_RETURN_WITHIN = 240.0
"""Seconds in which workers that were killed last have to be there again."""


async def drain(client: Client, patience: float, workers: Callable[[], set[int]]) -> list[str]:
    """Return when no job is live; or, as a text, that nothing has moved for ``patience`` seconds (L1).

    ``workers`` returns the process ids of those that are to work; while one is on its way, that is no rest.
    """
    seen: dict[str, int] | None = None
    begun_at = moved_at = now()
    while True:
        counts = await client.counts()
        live = counts["pending"] + counts["processing"]
        if not live:
            return []
        is_staffed = workers() <= await client.workers()
        if not is_staffed and now() - begun_at > _RETURN_WITHIN:
            return [f"L1: {live} jobs are live, and of the workers {workers()} some did not come back"]
        if counts != seen or not is_staffed:
            seen, moved_at = counts, now()
        elif now() - moved_at > patience:
            return [f"L1: {live} jobs are live, and nothing has moved for {patience:.0f} s: {counts}"]
        await asyncio.sleep(_LOOK_EVERY)
