"""``jdobb serve``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from jdobb_service.cli.exits import Refusal
from jdobb_service.cli.hints import tell_of_mistyped_variables
from jdobb_service.cli.options import (
    BackendUrl,
    Host,
    LogFormat,
    LogLevel,
    MaxConcurrent,
    Namespace,
    OptionalTargets,
    Port,
    ShutdownGrace,
)
from jdobb_service.cli.output import note
from jdobb_service.cli.target import load_routers

if TYPE_CHECKING:
    from jdobb_async_queue import JobRouter


NoWorkers = Annotated[
    bool,
    typer.Option(
        "--no-workers", help="Run no jobs, only answer requests; `jdobb worker` runs the jobs elsewhere."
    ),
]
Workers = Annotated[
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
]
AllowAnonymous = Annotated[
    bool, typer.Option("--allow-anonymous", help="Serve other addresses than loopback without API keys.")
]


def serve(
    targets: OptionalTargets = None,
    *,
    host: Host = None,
    port: Port = None,
    max_concurrent: MaxConcurrent = None,
    no_workers: NoWorkers = False,
    workers: Workers = None,
    allow_anonymous: AllowAnonymous = False,
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

    tell_of_mistyped_variables()
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
