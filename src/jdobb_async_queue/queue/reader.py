"""Looking at jobs and waiting for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from jdobb_async_queue import validation
from jdobb_async_queue.backends.base import ListQuery
from jdobb_async_queue.backends.bells import job_topic
from jdobb_async_queue.cursors import continued, encode_cursor
from jdobb_async_queue.errors import JobNotFound
from jdobb_async_queue.models import JobPage
from jdobb_async_queue.queue.core import QueueCore
from jdobb_async_queue.views import job_view

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from jdobb_async_queue.models import Job, JobStatus, JobTypeStats

MAX_PAGE = 200
_LOOK_AGAIN = 1.0


class Reader(QueueCore):
    """The calls that change nothing; they see every write that this process has been told is done."""

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or None when it is unknown or has been removed."""
        backend = await self._ready()
        record = (await backend.get([job_id]))[0]
        return None if record is None else job_view(record)

    async def get_many(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Return jobs in the order of their ids, None for each unknown one."""
        backend = await self._ready()
        found = await backend.get(list(job_ids))
        return [None if record is None else job_view(record) for record in found]

    async def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Wait until a job is terminal and return it; at most ``timeout`` seconds (None: for ever).

        Raises ``TimeoutError``, and ``JobNotFound`` when the job is unknown or removed meanwhile.
        """
        loop = asyncio.get_running_loop()
        ends = None if timeout is None else loop.time() + validation.seconds(timeout, "timeout")
        backend = await self._ready()
        with backend.watch([job_topic(job_id)]) as bell:
            while True:
                bell.clear()
                record = (await backend.get([job_id]))[0]
                if record is None:
                    raise JobNotFound(job_id)
                if record.is_terminal:
                    return job_view(record)
                left = _LOOK_AGAIN if ends is None else min(_LOOK_AGAIN, ends - loop.time())
                if left <= 0:
                    msg = f"job {job_id!r} is still {record.status} after {timeout} s"
                    raise TimeoutError(msg)
                await bell.wait(left)
                await self._ready()

    async def list_jobs(
        self,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        job_type: str | Iterable[str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: Mapping[str, str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """Return a page of jobs and the cursor of the next (None at the end).

        ``status`` and ``job_type`` are one or several; None means all, an empty list matches no job. Newest
        created first; with one status in that status's order: pending in claim order, processing latest
        start first, terminal latest finish first. ``limit`` is at most 200. A page may be short or empty and
        still have a cursor: filters look at a bounded number of jobs per call.

        Raises ``ValueError`` naming the argument, ``InvalidCursor`` for a cursor of another list.
        """
        query = ListQuery(
            statuses=_statuses(status),
            job_types=_job_types(job_type),
            created_after=None
            if created_after is None
            else validation.at(created_after, "created_after", down=True),
            created_before=None
            if created_before is None
            else validation.at(created_before, "created_before"),
            metadata=validation.text_map(metadata, "metadata"),
            limit=validation.count(limit, "limit", most=MAX_PAGE),
        )
        if cursor is not None:
            query = continued(query, cursor)
        backend = await self._ready()
        if query.matches_nothing:
            return JobPage(items=[])
        page = await backend.list_jobs(query)
        next_cursor = None if page.last is None else encode_cursor(replace(query, after=None), page.last)
        return JobPage(items=[job_view(record) for record in page.records], next_cursor=next_cursor)

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each type have each status: ``{job_type: {status: n}}``."""
        backend = await self._ready()
        return await backend.counts()

    async def stats(self) -> dict[str, JobTypeStats]:
        """Return ready, running, delayed and the oldest ready job's age in seconds, per job type."""
        backend = await self._ready()
        return await backend.stats()


def _statuses(value: JobStatus | str | Iterable[JobStatus | str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    values = [value] if isinstance(value, str) else validation.several(value, "status")
    return tuple(sorted({validation.status(item) for item in values}))


def _job_types(value: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    values = [value] if isinstance(value, str) else validation.several(value, "job_type")
    return tuple(sorted({validation.name(item, "job_type") for item in values}))
