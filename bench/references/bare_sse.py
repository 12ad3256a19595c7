"""An event a second on each stream of sse-starlette, made where it is sent."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route


async def events(_request: Request) -> EventSourceResponse:
    """Send events until the client leaves."""
    return EventSourceResponse(_ticks())


async def _ticks() -> AsyncIterator[dict[str, str]]:
    await asyncio.sleep(random.random())  # noqa: S311 - so that the streams do not tick all at once
    while True:
        yield {"data": json.dumps({"message": str(time.time_ns())})}
        await asyncio.sleep(1)


app = Starlette(routes=[Route("/jobs/{id}/events", events)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
