"""The service inside the test's own event loop, on a real socket: its queue is at hand.

Whatever its client is answered must be what the OpenAPI document says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from jdobb_async_queue import JobQueue, JobRouter
from jdobb_service.app import create_app
from jdobb_service.listening import listen, url_of
from jdobb_service.server import Server
from jdobb_service.settings import Settings
from jdobb_service.state import ServiceState
from tests.support.documented import check_documented
from tests.support.waiting import WITHIN

JSON = {"content-type": "application/json"}
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For every client: nobody speaks TLS here, and to read the certificates takes longer than most tests."""


@dataclass(frozen=True)
class Running:
    """A running service: a client of it, and what only a test may see of it."""

    client: httpx.AsyncClient
    app: FastAPI
    server: Server
    url: str

    @property
    def state(self) -> ServiceState:
        return self.app.state.service

    @property
    def queue(self) -> JobQueue:
        return self.state.queue

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        """Post a job; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/jobs", json=body, headers=named)

    async def new_job(self, job_type: str = "test", **fields: Any) -> str:
        """Store a job and return its id."""
        answer = await self.post({"job_type": job_type, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


@asynccontextmanager
async def serving(
    routers: Sequence[JobRouter] = (), *, app: FastAPI | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Serve until the block is left; settings are those of ``Settings``, on memory and a free port."""
    chosen = Settings(**{"backend_url": "memory://", "port": 0, "shutdown_grace": 1.0, **settings})
    application = create_app(chosen, routers) if app is None else app
    listener = listen(chosen)
    server = Server(application, chosen, listener)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(WITHIN):
            while not server.started and not running.done():  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.005)
        url = url_of(listener)
        async with httpx.AsyncClient(
            base_url=url,
            timeout=WITHIN,
            verify=_NO_CERTIFICATES,
            event_hooks={"response": [check_documented]},
        ) as client:
            yield Running(client, application, server, url)
    finally:
        server.should_exit = True
        await running


def code_of(answer: httpx.Response) -> str:
    """Return the code of a problem, after checking that it is one through and through."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["type"] == f"urn:jdobb:problem:{problem['code']}"
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers.get("x-request-id", problem["request_id"])
    return problem["code"]


def pointers(answer: httpx.Response) -> list[str]:
    """Return the places that a problem points at."""
    assert code_of(answer) == "validation"
    return places(answer)


def places(answer: httpx.Response) -> list[str]:
    """Return the places that a problem of any kind points at."""
    return [place["pointer"] for place in answer.json()["errors"]]
