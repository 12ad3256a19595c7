"""``jdobb doctor``."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict

from jdobb_service.cli.checks.finding import Finding, failure, ok
from jdobb_service.cli.clients import service_url
from jdobb_service.cli.exits import ExitCode
from jdobb_service.cli.option_groups import Place
from jdobb_service.cli.options import AsJson, OptionalTargets
from jdobb_service.cli.output import document, table
from jdobb_service.cli.target import load_routers


async def doctor(targets: OptionalTargets = None, *, as_json: AsJson = False, place: Place) -> int:
    """Check that everything is in place: versions, settings, handlers, and the store or the service.

    Exits 1 when something does not work; each finding says what to do about it.

    jdobb doctor myapp.jobs:router
    jdobb doctor --url http://127.0.0.1:8000
    """
    found = [finding async for finding in _findings(targets or [], place)]
    if as_json:
        document({"checks": [asdict(finding) for finding in found]})
    else:
        table(("CHECK", "VERDICT", "DETAIL"), ((item.name, item.verdict, _words(item)) for item in found))
    has_failed = any(finding.verdict == "failure" for finding in found)
    return ExitCode.FAILED if has_failed else ExitCode.OK


async def _findings(targets: Sequence[str], place: Place) -> AsyncIterator[Finding]:
    from importlib.metadata import version

    python = f"Python {platform.python_version()} on {platform.system()}"
    yield ok("version", f"jdobb {version('jdobb-async-queue')}, {python}")
    handled: list[str] = []
    if targets:
        try:
            handled = [job_type for router in load_routers(targets) for job_type in router.handlers]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            yield failure("handlers", error, "mend the module, or name where the handlers are: module:router")
        else:
            yield ok("handlers", ", ".join(handled) or "none declared")
    service = service_url(place.url) if place.backend_url is None else None
    if service is not None:
        from jdobb_service.cli.checks.service import service_findings

        findings = service_findings(service, handled)
    else:
        from jdobb_service.cli.checks.store import store_findings

        findings = store_findings(handled, place.backend_url, place.namespace)
    async with aclosing(findings) as listed:
        async for finding in listed:
            yield finding


def _words(finding: Finding) -> str:
    return finding.detail if finding.remedy is None else f"{finding.detail} → {finding.remedy}"
