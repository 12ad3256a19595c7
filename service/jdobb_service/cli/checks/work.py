"""Whether there is somebody for each job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from jdobb_service.cli.checks.finding import Finding, ok, warning


class Standing(Protocol):
    """How the jobs of a type stand."""

    @property
    def ready(self) -> int:
        """Return how many could be started."""

    @property
    def running(self) -> int:
        """Return how many are held by a worker."""


def work_findings(
    workers: Collection[Mapping[str, Any]], standing: Mapping[str, Standing], handled: Collection[str]
) -> Iterator[Finding]:
    """Look for jobs without a worker; ``handled`` are job types with a handler in the modules at hand."""
    live = [worker for worker in workers if not worker["stale"]]
    yield ok("workers", f"{len(live)} at work")
    for worker in workers:
        if worker["stale"]:
            detail = f"{worker['id']} gave no sign since {worker['last_heartbeat_at']}"
            yield warning("workers", detail, "look whether its machine is well; its jobs run again elsewhere")
    busy = {job_type for worker in live for job_type in worker["job_types"]}
    for job_type, now in sorted(standing.items()):
        if now.ready and job_type not in busy and job_type not in handled:
            detail = f"{now.ready} of type {job_type} wait, and no worker runs them"
            yield warning("jobs", detail, f"start a worker with a handler of {job_type}, or cancel them")
        if now.running and job_type not in busy:
            detail = f"{now.running} of type {job_type} are held by a worker that is gone"
            remedy = "start a worker with its handler: it takes them up when their leases have expired"
            yield warning("leases", detail, remedy)


def pause_findings(paused: Mapping[str, str | None]) -> Iterator[Finding]:
    """Tell which job types are paused, and why."""
    for job_type, reason in sorted(paused.items()):
        detail = f"{job_type} is paused: {reason or 'no reason given'}"
        yield warning("jobs", detail, f"jdobb resume {job_type} starts them again")
