"""A store, its settings, and the jobs in it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection

from jdobb_service.cli.checks.finding import Finding, failure, milliseconds, ok
from jdobb_service.cli.checks.ports import port_finding
from jdobb_service.cli.checks.redis import server_findings
from jdobb_service.cli.checks.settings import settings_findings
from jdobb_service.cli.checks.sqlite import file_findings
from jdobb_service.cli.checks.work import pause_findings, work_findings
from jdobb_service.cli.clients.backend import open_queue, shared_settings, shown_url
from jdobb_service.settings import Settings


async def store_findings(
    handled: Collection[str], backend_url: str | None, namespace: str | None
) -> AsyncGenerator[Finding]:
    """Look at the settings, then at the store that they name."""
    arguments = {"backend_url": backend_url, "namespace": namespace}
    try:
        settings = shared_settings(**arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        yield failure("settings", error, "change it where it comes from: jdobb config show tells")
        return
    given = {name for name, value in arguments.items() if value is not None}
    for finding in settings_findings(settings, given):
        yield finding
    yield port_finding(settings)
    try:
        async for finding in _opened(settings, handled):
            yield finding
    except Exception as error:  # noqa: BLE001 - the same
        yield failure("store", error, "start its server or mend its file, or name another: --backend-url")


async def _opened(settings: Settings, handled: Collection[str]) -> AsyncIterator[Finding]:
    url = settings.backend_url
    if url.startswith(("redis", "unix")):
        async for finding in server_findings(url):
            yield finding
    async with open_queue(settings) as queue:
        await queue.counts()
        began = time.perf_counter()
        await queue.counts()
        took = time.perf_counter() - began
        yield ok("store", f"{shown_url(url)} answers in {milliseconds(took)}")
        if url.startswith("sqlite"):
            for finding in file_findings(url):
                yield finding
        workers = [worker.model_dump(mode="json") for worker in await queue.workers()]
        for finding in work_findings(workers, await queue.stats(), handled):
            yield finding
        paused = {info.job_type: info.pause_reason for info in await queue.job_types() if info.paused}
        for finding in pause_findings(paused):
            yield finding
