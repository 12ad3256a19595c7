"""``jdobb serve``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from jdobb_service.cli.exits import Refusal
from jdobb_service.cli.options import (
    BackendUrl,
    LogFormat,
    LogLevel,
    MaxConcurrent,
    Namespace,
    OptionalTargets,
    ShutdownGrace,
)
from jdobb_service.cli.output import note
from jdobb_service.cli.target import load_routers

if TYPE_CHECKING:
    from jdobb_async_queue import JobRouter


def serve(
    targets: OptionalTargets = None,
    *,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Listen there; other than loopback needs API keys  [default: 127.0.0.1]",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", help="0 takes a free one  [default: 8000]", show_default=False),
    ] = None,
    max_concurrent: MaxConcurrent = None,
    no_workers: Annotated[
        bool,
        typer.Option(
            "--no-workers", help="Run no jobs, only answer requests; `jdobb worker` runs the jobs elsewhere."
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=64,
            help="How many processes serve the address, each with --max-concurrent handlers (with "
            "--no-workers: with none)  [default: 1]",
            show_default=False,
        ),
    ] = None,
    allow_anonymous: Annotated[
        bool,
        typer.Option("--allow-anonymous", help="Serve other addresses than loopback without API keys."),
    ] = False,
    shutdown_grace: ShutdownGrace = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> int:
    """Serve the queue over HTTP, and run the handlers of the modules that are named.

    More can be set by JDOBB_ variables or in jdobb.toml; see the documentation of the settings.

    jdobb serve myapp.jobs:router
    jdobb serve --no-workers --backend-url sqlite:////var/lib/jobs.db --port 9000
    jdobb serve myapp.jobs:router --workers 4
    """
    from jdobb_service.settings import load_settings

    settings = load_settings(
        host=host,
        port=port,
        max_concurrent=max_concurrent,
        workers=False if no_workers else None,
        processes=workers,
        allow_anonymous=allow_anonymous or None,
        shutdown_grace=shutdown_grace,
        backend_url=backend_url,
        namespace=namespace,
        log_level=log_level,
        log_format=log_format,
    )
    if settings.processes > 1:
        from jdobb_service import processes

        return processes.serve(settings, partial(_routers_in_child, targets or []))
    from jdobb_service import server

    return server.serve(settings, load_routers(targets or []))


def _routers_in_child(targets: list[str]) -> list[JobRouter]:
    """Load the routers where no command is around to say why it cannot be done."""
    try:
        return load_routers(targets)
    except Refusal as refusal:
        note(f"jdobb: {refusal}")
        raise SystemExit(refusal.code) from None
