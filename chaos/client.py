"""The conductor's own client of the service: it posts jobs on purpose, and reads all jobs in the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from chaos.history import Acknowledged, Asked, Event, Fault, Snapshot, now

_PAGE = 200
_PATIENCE, _TRIES = 240.0, 400
"""Seconds and tries, of both: on a machine that does much else a service takes long to start."""
_BETWEEN = 0.1
_AT_ONCE = 8


class Unanswered(Exception):  # noqa: N818 - reads as the fact that it states
    """The service did not answer for a long time."""


class Client:
    """Asks any of the instances, again and again until one answers."""

    def __init__(self, urls: Sequence[str], write: Callable[[Event], None]) -> None:
        self._clients = [httpx.AsyncClient(base_url=url, timeout=10.0) for url in urls]
        self._turn = self._asked = 0
        self._write = write

    async def close(self) -> None:
        """Let go of all connections."""
        for client in self._clients:
            await client.aclose()

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Make a call that may be made twice, and return an answer that says whether it was done."""
        ends, tries = now() + _PATIENCE, 0
        while now() < ends or tries < _TRIES:
            tries += 1
            client = self._clients[self._turn % len(self._clients)]
            try:
                answer = await client.request(method, path, **options)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return answer
            self._turn += 1
            await asyncio.sleep(_BETWEEN)
        raise Unanswered(f"{method} {path}")

    def new_op(self) -> str:
        """Return the name of a new intent, which is the id of its job too."""
        self._asked += 1
        return f"conductor-{self._asked}"

    async def post_over(self, url: str, op: str) -> None:
        """Enqueue a quick job at an address, once; whether there is an answer does not matter."""
        self._write(Asked(at=now(), op=op, job=op, job_type="quick"))
        async with httpx.AsyncClient(base_url=url, timeout=30.0) as client:
            try:
                await client.post("/jobs", json={"job_type": "quick", "id": op, "data": {"op": op}})
            except httpx.HTTPError:
                self._write(Fault(at=now(), fault="reconnect", target="conductor"))

    async def post(self, job_type: str, *, op: str | None = None, **fields: Any) -> str:
        """Enqueue a job of a type, with an id of its own, and return it."""
        op = op or self.new_op()
        asked_at = now()
        self._write(Asked(at=asked_at, op=op, job=op, job_type=job_type))
        data = {"op": op, **fields.pop("data", {})}
        await self.call("POST", "/jobs", json={"job_type": job_type, "id": op, "data": data, **fields})
        self._write(Acknowledged(at=now(), asked_at=asked_at, op=op, job=op))
        return op

    async def counts(self) -> dict[str, int]:
        """Return how many jobs have each status."""
        answer = await self.call("GET", "/stats")
        found: dict[str, int] = answer.json()["counts"]
        return found

    async def workers(self) -> set[int]:
        """Return the process ids of the workers that have registered."""
        answer = await self.call("GET", "/workers")
        return {worker["pid"] for worker in answer.json()["items"]}

    async def snapshots(self, acknowledged: set[str], watched: set[str]) -> AsyncIterator[Snapshot]:
        """Yield every job that there is, and None of each that was acknowledged and is not there."""
        logs = await self._logs(watched)
        async for job in self._all_jobs():
            acknowledged.discard(job["id"])
            yield _snapshot(job, logs.get(job["id"], ()))
        for job_id in acknowledged:
            answer = await self.call("GET", f"/jobs/{job_id}")
            if answer.is_success:
                yield _snapshot(answer.json(), logs.get(job_id, ()))
            else:
                yield Snapshot(at=now(), job=job_id, status=None)

    async def _all_jobs(self) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            query = {"limit": str(_PAGE), "include": "data,results"} | (
                {} if cursor is None else {"cursor": cursor}
            )
            page = (await self.call("GET", "/jobs", params=query)).json()
            for job in page["items"]:
                yield job
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def _logs(self, job_ids: set[str]) -> dict[str, tuple[tuple[int, str, str], ...]]:
        """Return the kept updates of finished jobs, as a watcher gets them who saw nothing yet."""
        found: dict[str, tuple[tuple[int, str, str], ...]] = {}
        limit = asyncio.Semaphore(_AT_ONCE)

        async def read(job_id: str) -> None:
            async with limit:
                found[job_id] = await self._log(job_id)

        await asyncio.gather(*(read(job_id) for job_id in job_ids))
        return found

    async def _log(self, job_id: str) -> tuple[tuple[int, str, str], ...]:
        client = self._clients[self._turn % len(self._clients)]
        path, headers = f"/jobs/{job_id}/events", {"Last-Event-ID": "0"}
        async with aconnect_sse(client, "GET", path, headers=headers) as source:
            if source.response.status_code != httpx.codes.OK:
                return ()
            updates = [json.loads(event.data) async for event in source.aiter_sse() if _is_update(event)]
        return tuple((update["seq"], update["kind"], update["status"]) for update in updates)


def _is_update(event: ServerSentEvent) -> bool:
    return event.event == "message" and bool(event.data)


def _snapshot(job: dict[str, Any], updates: tuple[tuple[int, str, str], ...]) -> Snapshot:
    return Snapshot(
        at=now(),
        job=job["id"],
        status=job["status"],
        op=job["data"].get("op"),
        attempt=job["attempt"],
        failures=job["failures"],
        losses=job["losses"],
        max_attempts=job["max_attempts"],
        max_lost=job["max_lost"],
        error=job["error"],
        results=job["results"],
        job_type=job["job_type"],
        unique_key=job["unique_key"],
        created_ms=_millis(job["created_at"]),
        completed_ms=None if job["completed_at"] is None else _millis(job["completed_at"]),
        updates=updates,
    )


def _millis(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
