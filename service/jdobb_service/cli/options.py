"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from jdobb_service.cli.exits import ExitCode, Refusal

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Speak to a service, such as http://127.0.0.1:8000 (or JDOBB_URL; its key from JDOBB_API_KEY).",
    ),
]
BackendUrl = Annotated[
    str | None,
    typer.Option(
        "--backend-url",
        metavar="URL",
        help="Speak to the store itself (or JDOBB_BACKEND_URL)  [default: sqlite:///jdobb.db]",
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="Which of the queues in the store (or JDOBB_NAMESPACE)  [default: default]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one document on a line.")]
JobIds = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs.", show_default=False)]
JobTypeName = Annotated[str, typer.Argument(metavar="TYPE", help="The job type.", show_default=False)]
_TARGETS = typer.Argument(
    metavar="MODULE:ROUTER",
    help="Where handlers are: a JobRouter in a module, such as myapp.jobs:router; a module alone stands "
    "for all its routers. The current directory is on the import path.",
    show_default=False,
)
Targets = Annotated[list[str], _TARGETS]
OptionalTargets = Annotated[list[str] | None, _TARGETS]
MaxConcurrent = Annotated[
    int | None,
    typer.Option(metavar="N", help="How many handlers run at once  [default: 10]", show_default=False),
]
ShutdownGrace = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="How long running handlers may finish at shutdown  [default: 30]",
        show_default=False,
    ),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(help="Least level of what is logged  [default: info]", show_default=False),
]
LogFormat = Annotated[
    Literal["auto", "console", "json"] | None,
    typer.Option(
        help="Log lines for people or as JSON; auto asks whether it is a terminal  [default: auto]",
        show_default=False,
    ),
]


def instant(text: str | None, option: str) -> datetime | None:
    """Return a point in time as RFC 3339 writes it; one without a zone is local time."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        message = f"{option} must be a time such as 2030-01-31T12:00:00Z, got {text!r}"
        raise Refusal(ExitCode.USAGE, message) from None


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Return ``name=value`` options as a mapping."""
    found: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise Refusal(ExitCode.USAGE, f"{option} must be NAME=VALUE, got {text!r}")
        found[name] = value
    return found
