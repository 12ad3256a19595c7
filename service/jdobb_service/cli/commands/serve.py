"""``jdobb serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from jdobb_service.cli.options import (
    BackendUrl,
    LogFormat,
    LogLevel,
    MaxConcurrent,
    Namespace,
    OptionalTargets,
    ShutdownGrace,
)
from jdobb_service.cli.target import load_routers


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
        bool, typer.Option("--no-workers", help="Only answer requests; `jdobb worker` runs the jobs.")
    ] = False,
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
    """
    from jdobb_service.settings import load_settings

    settings = load_settings(
        host=host,
        port=port,
        max_concurrent=max_concurrent,
        workers=False if no_workers else None,
        allow_anonymous=allow_anonymous or None,
        shutdown_grace=shutdown_grace,
        backend_url=backend_url,
        namespace=namespace,
        log_level=log_level,
        log_format=log_format,
    )
    routers = load_routers(targets or [])
    from jdobb_service.server import serve as serve_until_told

    return serve_until_told(settings, routers)
