"""``jdobb doctor``."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jdobb_service.cli.clients import service_url
from jdobb_service.cli.exits import ExitCode, refusal_of
from jdobb_service.cli.options import AsJson, BackendUrl, Namespace, OptionalTargets, Url
from jdobb_service.cli.output import document, table
from jdobb_service.cli.target import load_routers

if TYPE_CHECKING:
    from jdobb_async_queue import JobQueue, JobRouter


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``warning`` is worth a look, ``failure`` keeps something from working."""

    name: str
    verdict: Literal["ok", "warning", "failure"]
    detail: str


async def doctor(
    targets: OptionalTargets = None,
    *,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> int:
    """Check that everything is in place: versions, settings, handlers, and the store or the service.

    Exits 1 when something does not work.

    jdobb doctor myapp.jobs:router
    jdobb doctor --url http://127.0.0.1:8000
    """
    service = service_url(url) if backend_url is None else None
    found = [finding async for finding in _findings(targets or [], service, backend_url, namespace)]
    if as_json:
        document({"checks": [asdict(finding) for finding in found]})
    else:
        table(("CHECK", "VERDICT", "DETAIL"), ((item.name, item.verdict, item.detail) for item in found))
    has_failed = any(finding.verdict == "failure" for finding in found)
    return ExitCode.FAILED if has_failed else ExitCode.OK


async def _findings(
    targets: Sequence[str], service: str | None, backend_url: str | None, namespace: str | None
) -> AsyncIterator[Finding]:
    python = f"Python {platform.python_version()} on {platform.system()}"
    yield Finding("version", "ok", f"jdobb {version('jdobb-async-queue')}, {python}")
    routers: list[JobRouter] = []
    if targets:
        try:
            routers = load_routers(targets)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            yield _failure("handlers", error)
        else:
            yield Finding("handlers", "ok", ", ".join(_job_types(routers)) or "none declared")
    place = _of_store(routers, backend_url, namespace) if service is None else _of_service(service)
    name = "store" if service is None else "service"
    try:
        async with aclosing(place) as findings:
            async for finding in findings:
                yield finding
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        yield _failure(name, error)


async def _of_store(
    routers: list[JobRouter], backend_url: str | None, namespace: str | None
) -> AsyncGenerator[Finding]:
    from jdobb_service.cli.clients.backend import open_queue, shared_settings, shown_url

    try:
        settings = shared_settings(backend_url=backend_url, namespace=namespace)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        yield _failure("settings", error)
        return
    yield Finding("settings", "ok", _settings_source())
    async with open_queue(settings) as queue:
        began = time.perf_counter()
        await queue.counts()
        took = (time.perf_counter() - began) * 1000
        yield Finding("store", "ok", f"{shown_url(settings.backend_url)} answers in {took:.1f} ms")
        async for finding in _of_workers(queue, _job_types(routers)):
            yield finding


async def _of_workers(queue: JobQueue, handled: list[str]) -> AsyncIterator[Finding]:
    workers = await queue.workers()
    live = [worker for worker in workers if not worker.stale]
    yield Finding("workers", "ok", f"{len(live)} at work")
    for worker in workers:
        if worker.stale:
            yield Finding("workers", "warning", f"{worker.id} gave no sign since {worker.last_heartbeat_at}")
    stats = await queue.stats()
    served = {job_type for worker in live for job_type in worker.job_types} | set(handled)
    for job_type, now in sorted(stats.items()):
        if now.ready and job_type not in served:
            yield Finding("jobs", "warning", f"{now.ready} of type {job_type} wait, and no worker runs them")
    for info in await queue.job_types():
        if info.paused:
            yield Finding(
                "jobs", "warning", f"{info.job_type} is paused: {info.pause_reason or 'no reason given'}"
            )


async def _of_service(url: str) -> AsyncGenerator[Finding]:
    from jdobb_service.cli.clients.base import JobFilter
    from jdobb_service.cli.clients.http import HttpClient

    async with HttpClient.from_environment(url) as client:
        ready = await client.readiness()
        backend, worker = ready.get("backend", {}), ready.get("worker", {})
        runs = "runs jobs" if worker.get("running") else "runs no jobs itself"
        yield Finding("service", "ok", f"{url} is ready, stores jobs in {backend.get('name')}, {runs}")
        await client.list_jobs(JobFilter(limit=1))
        yield Finding("access", "ok", "may read jobs")


def _settings_source() -> str:
    from jdobb_service.settings import DEFAULT_FILE, FILE_VARIABLE

    named = os.environ.get(FILE_VARIABLE)
    if named or Path(DEFAULT_FILE).is_file():
        return f"from the environment and {named or DEFAULT_FILE}"
    return "from the environment; there is no settings file"


def _job_types(routers: list[JobRouter]) -> list[str]:
    return [job_type for router in routers for job_type in router.handlers]


def _failure(name: str, error: Exception) -> Finding:
    return Finding(name, "failure", str(refusal_of(error)).replace("\n", "; "))
