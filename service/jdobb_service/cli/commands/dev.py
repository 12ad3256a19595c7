"""``jdobb dev``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jdobb_service.cli.exits import ExitCode, Refusal
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
)

GRACE = 5.0


async def dev(
    context: typer.Context,
    targets: OptionalTargets = None,
    *,
    host: Host = None,
    port: Port = None,
    max_concurrent: MaxConcurrent = None,
    shutdown_grace: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long running handlers may finish before the code is loaded anew, and at the end.",
        ),
    ] = GRACE,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> int:
    """Serve while you write handlers: API, dashboard and workers in one, started anew at each change.

    Every Python file below the current directory is watched, and jdobb.toml. An error in them is shown, and
    the next change tries again. Ctrl-C lets running jobs finish, twice ends at once.

    jdobb dev myapp.jobs:router
    """
    arguments = {
        "host": host,
        "port": port,
        "max_concurrent": max_concurrent,
        "shutdown_grace": shutdown_grace,
        "backend_url": backend_url,
        "namespace": namespace,
        "log_level": log_level,
        "log_format": log_format,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    return await _serve(targets or [], given, debug=context.params["debug"])


async def _serve(targets: list[str], arguments: dict[str, Any], *, debug: bool) -> int:
    from jdobb_service.cli.development.program import Plan
    from jdobb_service.cli.development.reloading import run_until_told
    from jdobb_service.listening import CannotServe, check_exposure, listen
    from jdobb_service.settings import load_settings

    tell_of_mistyped_variables()
    settings = load_settings(**arguments)
    try:
        check_exposure(settings)
        listener = listen(settings)
    except CannotServe as error:
        raise Refusal(ExitCode.FAILED, f"{error}\n--port takes another one, 0 a free one") from error
    with listener:
        plan = Plan(targets, arguments, listener.fileno(), parent=-1, debug=debug)
        return await run_until_told(plan, settings.shutdown_grace)
