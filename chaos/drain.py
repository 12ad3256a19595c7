"""Waits until every job has ended. How long it takes is the machine's affair, that it goes on the queue's."""

from __future__ import annotations

import asyncio

from chaos.client import Client
from chaos.history import now

_LOOK_EVERY = 0.25


async def drain(client: Client, patience: float) -> list[str]:
    """Return when no job is live; or, as a text, that nothing has moved for ``patience`` seconds (L1)."""
    seen: dict[str, int] | None = None
    moved_at = now()
    while True:
        counts = await client.counts()
        live = counts["pending"] + counts["processing"]
        if not live:
            return []
        if counts != seen:
            seen, moved_at = counts, now()
        elif now() - moved_at > patience:
            return [f"L1: {live} jobs are live, and nothing has moved for {patience:.0f} s: {counts}"]
        await asyncio.sleep(_LOOK_EVERY)
