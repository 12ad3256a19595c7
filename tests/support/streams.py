"""Reading event streams from the raw bytes, as a browser does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Event:
    """One event; ``name`` is ``message`` when it carried none."""

    name: str = "message"
    id: str | None = None
    data: Any = None
    comments: list[str] = field(default_factory=list)
    retry: int | None = None

    @property
    def seq(self) -> int:
        assert self.id is not None
        return int(self.id)


async def events(answer: httpx.Response) -> AsyncIterator[Event]:
    """Yield the blocks of a stream, also those without data (comments and ``retry``)."""
    block: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        if line == "":
            yield Event(**block)
            block = {}
        elif line.startswith(":"):
            block.setdefault("comments", []).append(line[1:].strip())
        else:
            name, _, value = line.partition(": ")
            block |= {
                "id": {"id": value},
                "event": {"name": value},
                "retry": {"retry": int(value) if name == "retry" else 0},
                "data": {"data": json.loads(value) if name == "data" else None},
            }[name]
    assert block == {}, "a stream ends after a whole event"


async def read_all(client: httpx.AsyncClient, path: str, **headers: str) -> list[Event]:
    """Return every event with data of a stream that ends by itself."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.stream("GET", path, headers=named) as answer:
        assert answer.status_code == 200, await answer.aread()
        return [event async for event in events(answer) if event.data is not None]
