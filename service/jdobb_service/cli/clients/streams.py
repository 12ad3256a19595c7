"""Watching jobs behind a service: all on one stream, which is resumed where it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import httpx

from jdobb_async_queue import JobUpdate
from jdobb_service.cli.clients.connection import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OUTAGE,
    Connection,
    Unreachable,
    parsed,
)

MOST = 100
"""Jobs that a service watches on one stream."""


async def watch(connection: Connection, job_ids: Sequence[str]) -> AsyncIterator[JobUpdate]:
    """Yield the updates of jobs; more than fit on one stream are watched on several."""
    parts = [job_ids[begin : begin + MOST] for begin in range(0, len(job_ids), MOST)]
    arrived: asyncio.Queue[JobUpdate | Exception | None] = asyncio.Queue(MOST)
    collecting = [asyncio.ensure_future(_collect(connection, part, arrived)) for part in parts]
    going_on = len(parts)
    try:
        while going_on:
            item = await arrived.get()
            if item is None:
                going_on -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                yield item
    finally:
        for task in collecting:
            task.cancel()
        await asyncio.gather(*collecting, return_exceptions=True)


async def _collect(
    connection: Connection, job_ids: Sequence[str], arrived: asyncio.Queue[JobUpdate | Exception | None]
) -> None:
    """Put the updates of some jobs, and at last None or the error that ended them."""
    try:
        async for update in _watch_some(connection, job_ids):
            await arrived.put(update)
    except Exception as error:  # noqa: BLE001 - it is raised where the updates are taken
        await arrived.put(error)
    else:
        await arrived.put(None)


async def _watch_some(connection: Connection, job_ids: Sequence[str]) -> AsyncIterator[JobUpdate]:
    """Yield the updates of jobs on one stream. Nothing is lost where it breaks, and nothing comes twice."""
    loop = asyncio.get_running_loop()
    going_on = set(job_ids)
    last_id: str | None = None
    lost_at: float | None = None
    pause = FIRST_PAUSE
    query = httpx.QueryParams([("job", job_id) for job_id in job_ids])
    while going_on:
        try:
            async with aclosing(connection.events("/events", query, last_id)) as events:
                async for event in events:
                    lost_at, pause = None, FIRST_PAUSE
                    last_id = event.id or last_id
                    if event.event == "closed":
                        return
                    if event.event == "end":
                        going_on.discard(str(event.json()["job_id"]))
                    elif event.data and event.event in {"message", "gap"}:
                        yield parsed(JobUpdate.model_validate_json, event.data)
        except Unreachable:
            lost_at = lost_at or loop.time()
            if loop.time() - lost_at > OUTAGE:
                raise
        if going_on:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
