"""A queue in a store that the command opens itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from pydantic_core import to_jsonable_python

from jdobb_async_queue import (
    Broadcaster,
    Job,
    JobNotFound,
    JobPage,
    JobQueue,
    JobStatus,
    JobTypeInfo,
    JobUpdate,
    NewJob,
    Outcome,
)
from jdobb_service import figures
from jdobb_service.cli.clients.base import Client, JobFilter
from jdobb_service.cli.clients.changing import change
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.near import near
from jdobb_service.schemas.bulk import Action, BulkResult
from jdobb_service.schemas.stats import Stats
from jdobb_service.settings import Settings, load_settings


class BackendClient(Client):
    """Calls the library."""

    def __init__(self, backend_url: str | None, namespace: str | None) -> None:
        self._queue = open_queue(shared_settings(backend_url=backend_url, namespace=namespace))

    async def close(self) -> None:
        """Let go of the store."""
        await self._queue.close()

    async def enqueue(self, job: NewJob) -> Job:
        """Store a new job; return it, or the existing one that it met."""
        with _arguments():
            return (await self._queue.submit(job)).job

    async def enqueue_many(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store up to 1,000 new jobs in one step, all or none; return them as ``enqueue`` does."""
        with _arguments():
            return [submission.job for submission in await self._queue.submit_many(jobs)]

    async def get(self, job_id: str) -> Job:
        """Return a job."""
        job = await self._queue.get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    async def wait(self, job_id: str, timeout: float | None) -> Job:
        """Return the job when it is terminal, after ``timeout`` seconds at most."""
        with _arguments():
            return await self._queue.wait(job_id, timeout)

    async def updates(self, job_ids: Sequence[str]) -> AsyncIterator[JobUpdate]:
        """Yield each job's present state and then its updates, until all jobs are terminal or removed."""
        broadcaster = Broadcaster(self._queue)
        places: dict[str, int] = {}
        for job_id in job_ids:
            state = await broadcaster.snapshot(job_id)
            yield state
            if not state.is_terminal:
                places[job_id] = state.seq
        async for _, update in broadcaster.subscribe_many(places):
            if update is not None:
                yield update

    async def list_jobs(self, wanted: JobFilter) -> JobPage:
        """Return a page of jobs."""
        with _arguments():
            return await self._queue.list_jobs(
                wanted.statuses or None,
                wanted.job_types or None,
                wanted.created_after,
                wanted.created_before,
                wanted.metadata,
                wanted.limit,
                wanted.cursor,
            )

    async def cancel(self, job_id: str, reason: str | None) -> Job:
        """Cancel a job; one that is cancelled already stays so."""
        with _arguments():
            outcome, job = await self._queue.try_cancel(job_id, reason)
        if job is None:
            raise JobNotFound(job_id)
        if outcome is not Outcome.OK and job.status is not JobStatus.CANCELLED:
            _refuse(job, "cannot be cancelled any more")
        return job

    async def retry(self, job_id: str) -> Job:
        """Make a failed or cancelled job ready again."""
        outcome, job = await self._queue.try_retry(job_id)
        if job is None:
            raise JobNotFound(job_id)
        if outcome is Outcome.CONFLICT:
            _refuse(job, f"another live job holds its unique key {job.unique_key!r}")
        if outcome is not Outcome.OK:
            _refuse(job, "only a failed or cancelled job can be retried")
        return job

    async def delete(self, job_id: str) -> None:
        """Remove a job that has ended."""
        outcome, job = await self._queue.try_delete(job_id)
        if outcome is Outcome.UNKNOWN:
            raise JobNotFound(job_id)
        if job is not None:
            _refuse(job, "only a job that has ended can be deleted")

    async def change(self, action: Action, wanted: JobFilter, *, dry_run: bool) -> BulkResult:
        """Do something to the jobs of a filter whose status allows it, up to 1,000 of them."""
        with _arguments():
            return await change(self._queue, action, wanted, dry_run=dry_run)

    async def pause(self, job_type: str, until: datetime | None, reason: str | None) -> dict[str, Any]:
        """Pause a job type, which is created; return it as JSON."""
        with _arguments():
            return await self._described(await self._queue.pause(job_type, until=until, reason=reason))

    async def resume(self, job_type: str) -> dict[str, Any]:
        """Resume a job type; return it as JSON."""
        known = await self.job_types()
        if job_type not in known:
            message = f"no job type has the name {job_type!r}{near(job_type, known)}"
            raise Refusal(ExitCode.NOT_FOUND, message)
        return await self._described(await self._queue.resume(job_type))

    async def job_types(self) -> list[str]:
        """Return the names of the job types that there are."""
        return [info.job_type for info in await self._queue.job_types()]

    async def workers(self) -> list[dict[str, Any]]:
        """Return the registered workers."""
        return [worker.model_dump(mode="json") for worker in await self._queue.workers()]

    async def stats(self) -> Stats:
        """Return how jobs stand now."""
        return Stats.model_validate(await figures.overview(self._queue))

    async def _described(self, info: JobTypeInfo) -> dict[str, Any]:
        described: dict[str, Any] = to_jsonable_python(await figures.job_type(self._queue, info))
        return described


def shared_settings(**arguments: Any) -> Settings:
    """Return the settings of a process that shares its store with others."""
    settings = load_settings(**arguments)
    if settings.has_private_store:
        message = (
            f"{settings.backend_url} lives inside one process only: name a store that others can open "
            "(--backend-url), or a running service (--url)"
        )
        raise Refusal(ExitCode.USAGE, message)
    return settings


def open_queue(settings: Settings) -> JobQueue:
    """Return the queue that the settings describe; it connects at first use."""
    with _arguments():
        return JobQueue.from_url(
            settings.backend_url,
            namespace=settings.namespace,
            default_ttl=settings.default_ttl,
            lease=settings.lease,
            retention=settings.retention,
            max_payload_bytes=settings.max_payload_bytes,
            max_pending=settings.max_pending,
        )


def shown_url(url: str) -> str:
    """Return a store's URL with the whole path and without credentials."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and not rest.startswith("//"):
        return f"sqlite:///{Path(rest[1:]).absolute()}"
    _, at, host = rest.rpartition("@")
    return f"{scheme}{separator}***@{host}" if at else url


@contextmanager
def _arguments() -> Iterator[None]:
    """Turn what the library says about its arguments into a refusal of the command's."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise Refusal(ExitCode.USAGE, str(error)) from error


def _refuse(job: Job, why: str) -> NoReturn:
    raise Refusal(ExitCode.CONFLICT, f"job {job.id} is {job.status.value}: {why}")
