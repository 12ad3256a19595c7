"""What commands ask of a queue, wherever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jdobb_async_queue import Job, JobPage, JobUpdate, NewJob

if TYPE_CHECKING:
    from jdobb_service.schemas.bulk import Action, BulkResult
    from jdobb_service.schemas.stats import Stats


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list, and which page."""

    statuses: Sequence[str] = ()
    job_types: Sequence[str] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    limit: int = 50
    cursor: str | None = None


class Client(ABC):
    """A queue as commands see it; an async context manager.

    Errors are the library's (``JobNotFound``, ``JobConflict``, ``BackendUnavailable`` …), ``TimeoutError``,
    or a ``Refusal``.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @abstractmethod
    async def close(self) -> None:
        """Let go of the connection."""

    @abstractmethod
    async def enqueue(self, job: NewJob) -> Job:
        """Store a new job; return it, or the existing one that it met."""

    @abstractmethod
    async def enqueue_many(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store up to 1,000 new jobs in one step, all or none; return them as ``enqueue`` does."""

    @abstractmethod
    async def get(self, job_id: str) -> Job:
        """Return a job."""

    @abstractmethod
    async def wait(self, job_id: str, timeout: float | None) -> Job:
        """Return the job when it is terminal, after ``timeout`` seconds at most."""

    @abstractmethod
    def updates(self, job_ids: Sequence[str]) -> AsyncIterator[JobUpdate]:
        """Yield each job's present state and then its updates, until all jobs are terminal or removed.

        Those of one job come in their order, and the terminal one is its last; those of several in any.
        """

    @abstractmethod
    async def list_jobs(self, wanted: JobFilter) -> JobPage:
        """Return a page of jobs."""

    @abstractmethod
    async def cancel(self, job_id: str, reason: str | None) -> Job:
        """Cancel a job; one that is cancelled already stays so."""

    @abstractmethod
    async def retry(self, job_id: str) -> Job:
        """Make a failed or cancelled job ready again."""

    @abstractmethod
    async def delete(self, job_id: str) -> None:
        """Remove a job that has ended."""

    @abstractmethod
    async def change(self, action: Action, wanted: JobFilter, *, dry_run: bool) -> BulkResult:
        """Do something to the jobs of a filter whose status allows it, up to 1,000 of them, each by itself.

        The filter's ``limit`` and ``cursor`` do not count. Repeat it while there is ``more`` and any is done.
        """

    @abstractmethod
    async def pause(self, job_type: str, until: datetime | None, reason: str | None) -> dict[str, Any]:
        """Pause a job type, which is created; return it as JSON, as the service describes it."""

    @abstractmethod
    async def resume(self, job_type: str) -> dict[str, Any]:
        """Resume a job type; return it as JSON, as the service describes it."""

    @abstractmethod
    async def job_types(self) -> list[str]:
        """Return the names of the job types that there are."""

    @abstractmethod
    async def workers(self) -> list[dict[str, Any]]:
        """Return the registered workers, as the service describes them."""

    @abstractmethod
    async def stats(self) -> Stats:
        """Return how jobs stand now."""
