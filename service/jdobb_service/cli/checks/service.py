"""A service: whether it is ready, who it lets in, its clock, and its jobs."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection

from jdobb_service.cli.checks.clocks import clock_finding
from jdobb_service.cli.checks.finding import Finding, failure, milliseconds, ok
from jdobb_service.cli.checks.work import pause_findings, work_findings
from jdobb_service.cli.clients.http import HttpClient


async def service_findings(url: str, handled: Collection[str]) -> AsyncGenerator[Finding]:
    """Ask a service for its state."""
    try:
        async with HttpClient.from_environment(url) as client:
            async for finding in _asked(client, url, handled):
                yield finding
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        yield failure("service", error, "start it (jdobb serve), or name its address by --url and its key")


async def _asked(client: HttpClient, url: str, handled: Collection[str]) -> AsyncIterator[Finding]:
    began = time.perf_counter()
    ready, ahead = await client.readiness()
    took = time.perf_counter() - began
    backend, worker = ready.get("backend", {}), ready.get("worker", {})
    runs = "runs jobs" if worker.get("running") else "runs no jobs itself"
    detail = f"{url} is ready, stores jobs in {backend.get('name')}, {runs}, answers in {milliseconds(took)}"
    yield ok("service", detail)
    if ahead is not None:
        yield clock_finding("the service's", ahead, took)
    stats = await client.stats()
    yield ok("access", "may read jobs")
    for finding in work_findings(await client.workers(), stats.job_types, handled):
        yield finding
    for finding in pause_findings({name: None for name, now in stats.job_types.items() if now.paused}):
        yield finding
