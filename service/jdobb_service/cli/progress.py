"""Following jobs live: moving bars on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jdobb_async_queue import Job, JobNotFound, JobStatus, JobUpdate
from jdobb_service.cli.exits import ExitCode
from jdobb_service.cli.output import document, first_line, is_live_terminal, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from jdobb_service.cli.clients.base import Client


_SHOWN = 12
"""Characters of an id beside its bar; the last ones, for ids begin with their time."""


async def follow(client: Client, jobs: Sequence[Job], timeout: float | None, *, as_json: bool) -> ExitCode:
    """Show each update of the jobs until all are terminal; return whether all are complete.

    Raises ``TimeoutError`` after ``timeout`` seconds, ``JobNotFound`` when a job is removed meanwhile.
    """
    with _display(as_json=as_json) as display:
        for job in jobs:
            display.add(job)
        try:
            async with asyncio.timeout(timeout):
                return verdict(await _show_all(client, [job.id for job in jobs], display))
        except TimeoutError:
            message = f"not all jobs are terminal after {timeout:g} s"
            raise TimeoutError(message) from None


def verdict(statuses: Sequence[JobStatus]) -> ExitCode:
    """Return the exit code for jobs that ended with these statuses."""
    is_good = all(status is JobStatus.COMPLETE for status in statuses)
    return ExitCode.OK if is_good else ExitCode.FAILED


async def _show_all(client: Client, job_ids: Sequence[str], display: Display) -> list[JobStatus]:
    ends: dict[str, JobStatus] = {}
    async for update in client.updates(job_ids):
        display.show(update)
        if update.is_terminal:
            ends[update.job_id] = update.status
    for job_id in job_ids:
        if job_id not in ends:
            raise JobNotFound(job_id)
    return [ends[job_id] for job_id in job_ids]


@contextmanager
def _display(*, as_json: bool) -> Iterator[Display]:
    if as_json or not is_live_terminal():
        yield JsonLines()
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns) as progress:
        yield Bars(progress)


class Display(ABC):
    """Where updates are shown."""

    @abstractmethod
    def add(self, job: Job) -> None:
        """Make room for a job."""

    @abstractmethod
    def show(self, update: JobUpdate) -> None:
        """Show an update."""


class JsonLines(Display):
    """One update on a line."""

    def add(self, job: Job) -> None:
        """Wait for its updates."""

    def show(self, update: JobUpdate) -> None:
        """Print the update."""
        document(update.model_dump(mode="json"))


class Bars(Display):
    """One bar for each job."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def add(self, job: Job) -> None:
        """Draw its bar."""
        name = f"{job.job_type} {job.id if len(job.id) <= _SHOWN else '…' + job.id[-_SHOWN:]}"
        self._bars[job.id] = self._progress.add_task(job.status.value, total=1.0, name=name)

    def show(self, update: JobUpdate) -> None:
        """Move the bar."""
        bar = self._bars[update.job_id]
        if update.kind == "log":
            self._progress.console.print(printable(update.message), markup=False, highlight=False)
            return
        said = first_line(update.error or update.message)
        status = update.status.value
        self._progress.update(
            bar, completed=update.progress, description=f"{status}: {printable(said)}" if said else status
        )
        if update.is_terminal:
            self._progress.stop_task(bar)
