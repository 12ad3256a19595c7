"""Jobs as the command prints them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jdobb_service.cli.output import fields, first_line, is_live_terminal, print_data, table, table_lines

if TYPE_CHECKING:
    from jdobb_async_queue import Job
    from jdobb_service.schemas.stats import Figures, Stats

_STATS = ("TYPE", "READY", "RUNNING", "DELAYED", "COMPLETE", "FAILED", "CANCELLED", "OLDEST READY", "PAUSED")
_LEASE = {"lease_token", "lease_expires_at"}


def job_document(job: Job) -> dict[str, Any]:
    """Return a job as JSON, with the names that the service uses."""
    return job.model_dump(mode="json", exclude=_LEASE)


def print_job(job: Job) -> None:
    """Print what people want to know of a job."""
    fields(
        [
            ("id", job.id),
            ("job type", job.job_type),
            ("status", job.status.value),
            ("priority", job.priority.value),
            ("progress", f"{job.progress:.0%}"),
            ("message", job.message),
            ("error", job.error),
            ("results", job.results),
            ("data", job.data),
            ("metadata", job.metadata or None),
            ("attempts", f"{job.attempt} started, {job.failures} failed of {job.max_attempts}"),
            ("unique key", job.unique_key),
            ("created at", job.created_at),
            ("run at", job.run_at if job.run_at > job.created_at else None),
            ("started at", job.started_at),
            ("completed at", job.completed_at),
        ]
    )


def print_jobs(jobs: Iterable[Job]) -> None:
    """Print a list of jobs, one on a line."""
    now = datetime.now(UTC)
    table(
        ("ID", "TYPE", "STATUS", "PROGRESS", "CREATED", "MESSAGE"),
        (
            (
                job.id,
                job.job_type,
                job.status.value,
                f"{job.progress:.0%}",
                f"{_span((now - job.created_at).total_seconds())} ago",
                first_line(job.error or job.message),
            )
            for job in jobs
        ),
    )


def print_stats(stats: Stats) -> None:
    """Print how each job type stands, one on a line, and all of them below."""
    for line in stats_lines(stats, is_live=is_live_terminal()):
        print_data(line)


def stats_lines(stats: Stats, *, is_live: bool) -> list[str]:
    """Return how each job type stands, one on a line, and all of them below."""
    each = (
        (name, *_figures(found), "yes" if found.paused else "no") for name, found in stats.job_types.items()
    )
    return table_lines(_STATS, (*each, ("(all)", *_figures(stats), None)), is_live=is_live)


def _figures(found: Figures) -> tuple[Any, ...]:
    counts, age = found.counts, found.oldest_ready_age
    ended = (counts.complete, counts.failed, counts.cancelled)
    return (found.ready, found.running, found.delayed, *ended, None if age is None else _span(age))


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
