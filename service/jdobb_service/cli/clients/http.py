"""A queue behind a service: the paths of its interface, and what they answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from jdobb_async_queue import Job, JobPage, JobUpdate, NewJob
from jdobb_service.cli.clients.base import Client, JobFilter
from jdobb_service.cli.clients.connection import (
    LONG_POLL,
    Connection,
    Full,
    UnknownJobType,
    about_job,
    key_of_environment,
    parsed,
)
from jdobb_service.cli.clients.streams import watch
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.near import near
from jdobb_service.schemas.bulk import Action, BulkResult
from jdobb_service.schemas.stats import Stats

BREATH = 0.5
"""Seconds between questions to a service that answers at once although it was asked to wait."""


class HttpClient(Client):
    """Calls a service."""

    def __init__(self, url: str, key: str | None) -> None:
        self._connection = Connection(url, key)

    @classmethod
    def from_environment(cls, url: str) -> HttpClient:
        """Return the client of a service, with the API key of the environment."""
        return cls(url, key_of_environment())

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def enqueue(self, job: NewJob) -> Job:
        """Store a new job; return it, or the existing one that it met."""
        try:
            stored = await self._connection.json("POST", "/jobs", body=_body(job))
        except UnknownJobType as refusal:
            known: list[str] = []
            with suppress(Refusal):  # the key may not be allowed to read
                known = await self.job_types()
            message = f"the service knows no job type {job.job_type!r}{near(job.job_type, known)}"
            raise Refusal(ExitCode.USAGE, message) from refusal
        return parsed(Job.model_validate, stored)

    async def enqueue_many(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store up to 1,000 new jobs in one step, all or none; return them as ``enqueue`` does."""
        body = {"jobs": [_body(job) for job in jobs]}
        answer = _object(await self._connection.json("POST", "/jobs/batch", body=body))
        return [parsed(Job.model_validate, item) for item in answer.get("items", ())]

    async def get(self, job_id: str) -> Job:
        """Return a job."""
        return await self._of_job("GET", job_id)

    async def wait(self, job_id: str, timeout: float | None) -> Job:
        """Return the job when it is terminal, after ``timeout`` seconds at most."""
        loop = asyncio.get_running_loop()
        ends = None if timeout is None else loop.time() + timeout
        while True:
            asked_at = loop.time()
            left = LONG_POLL if ends is None else min(LONG_POLL, max(0.0, ends - asked_at))
            query = {"wait": f"{left:.3f}"}
            try:
                job = await self._connection.patiently(partial(self._of_job, "GET", job_id, params=query))
            except Full:
                job = await self._connection.patiently(partial(self._of_job, "GET", job_id))
            if job.status.is_terminal:
                return job
            if ends is not None and loop.time() >= ends:
                message = f"job {job_id!r} is still {job.status.value} after {timeout:g} s"
                raise TimeoutError(message)
            if loop.time() - asked_at < left:  # the service has no room for more who wait
                await asyncio.sleep(min(left, BREATH))

    def updates(self, job_ids: Sequence[str]) -> AsyncIterator[JobUpdate]:
        """Yield each job's present state and then its updates, until all jobs are terminal or removed."""
        return watch(self._connection, job_ids)

    async def list_jobs(self, wanted: JobFilter) -> JobPage:
        """Return a page of jobs."""
        query: list[tuple[str, str]] = [
            ("include", "data,results,errors"),
            ("limit", str(wanted.limit)),
            *(("status", status) for status in wanted.statuses),
            *(("job_type", job_type) for job_type in wanted.job_types),
            *((f"metadata.{name}", value) for name, value in wanted.metadata.items()),
        ]
        for name, at in (("created_after", wanted.created_after), ("created_before", wanted.created_before)):
            if at is not None:
                query.append((name, at.isoformat()))
        if wanted.cursor is not None:
            query.append(("cursor", wanted.cursor))
        return parsed(JobPage.model_validate, await self._connection.json("GET", "/jobs", params=query))

    async def cancel(self, job_id: str, reason: str | None) -> Job:
        """Cancel a job; one that is cancelled already stays so."""
        body = {} if reason is None else {"reason": reason}
        return await self._of_job("POST", job_id, "/cancel", body=body)

    async def retry(self, job_id: str) -> Job:
        """Make a failed or cancelled job ready again."""
        return await self._of_job("POST", job_id, "/retry")

    async def delete(self, job_id: str) -> None:
        """Remove a job that has ended."""
        with about_job(job_id):
            await self._connection.request("DELETE", _job(job_id))

    async def change(self, action: Action, wanted: JobFilter, *, dry_run: bool) -> BulkResult:
        """Do something to the jobs of a filter whose status allows it, up to 1,000 of them."""
        chosen: dict[str, Any] = {
            "status": list(wanted.statuses),
            "job_type": list(wanted.job_types),
            "created_after": wanted.created_after and wanted.created_after.isoformat(),
            "created_before": wanted.created_before and wanted.created_before.isoformat(),
            "metadata": dict(wanted.metadata),
        }
        given = {name: value for name, value in chosen.items() if value}
        body = {"action": action, "filter": given, "dry_run": dry_run}
        return parsed(BulkResult.model_validate, await self._connection.json("POST", "/jobs/bulk", body=body))

    async def pause(self, job_type: str, until: datetime | None, reason: str | None) -> dict[str, Any]:
        """Pause a job type, which is created; return it as JSON."""
        body: dict[str, Any] = {} if reason is None else {"reason": reason}
        if until is not None:
            body["until"] = until.isoformat()
        return _object(await self._connection.json("POST", f"{_job_type(job_type)}/pause", body=body))

    async def resume(self, job_type: str) -> dict[str, Any]:
        """Resume a job type; return it as JSON."""
        try:
            return _object(await self._connection.json("POST", f"{_job_type(job_type)}/resume"))
        except Refusal as refusal:
            if refusal.code is ExitCode.NOT_FOUND:
                meant = near(job_type, await self.job_types())
                message = f"no job type has the name {job_type!r}{meant}"
                raise Refusal(ExitCode.NOT_FOUND, message) from refusal
            raise

    async def job_types(self) -> list[str]:
        """Return the names of the job types that there are."""
        found = _object(await self._connection.json("GET", "/job-types"))
        return [str(item["job_type"]) for item in found.get("items", ())]

    async def stats(self) -> Stats:
        """Return how jobs stand now."""
        return parsed(Stats.model_validate, await self._connection.json("GET", "/stats"))

    async def document(self) -> dict[str, Any]:
        """Return the service's OpenAPI document."""
        return _object(await self._connection.json("GET", "/openapi.json"))

    async def readiness(self) -> tuple[dict[str, Any], float | None]:
        """Return what the service says of itself when it is ready, and how far its clock is ahead of ours.

        None for the clock when it does not tell. It tells whole seconds.
        """
        began = time.time()
        response = await self._connection.request("GET", "/readyz")
        ours = (began + time.time()) / 2
        said = response.headers.get("date")
        ahead = None if said is None else parsedate_to_datetime(said).timestamp() + 0.5 - ours
        return _object(self._connection.decoded(response)), ahead

    async def workers(self) -> list[dict[str, Any]]:
        """Return the registered workers."""
        return list(_object(await self._connection.json("GET", "/workers")).get("items", ()))

    async def _of_job(self, method: str, job_id: str, step: str = "", **content: Any) -> Job:
        """Make a request about one job, which answers with it."""
        with about_job(job_id):
            return parsed(
                Job.model_validate, await self._connection.json(method, f"{_job(job_id)}{step}", **content)
            )


def _body(job: NewJob) -> dict[str, Any]:
    """Return a new job as the service takes it."""
    body = job.model_dump(mode="json", exclude_unset=True, exclude={"data"}) | {"data": job.data}
    if "job_id" in body:
        body["id"] = body.pop("job_id")
    return body


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal(ExitCode.UNREACHABLE, "the service's answer is not a JSON object")
    return value


def _job(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _job_type(job_type: str) -> str:
    return f"/job-types/{quote(job_type, safe='')}"
