"""The options and arguments of the commands that deal with jobs, and those that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
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
OptionalJobIds = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids of jobs.", show_default=False)
]
JobTypeName = Annotated[str, typer.Argument(metavar="TYPE", help="The job type.", show_default=False)]
_TARGETS = typer.Argument(
    metavar="MODULE:ROUTER",
    help="Where handlers are: a JobRouter in a module, such as myapp.jobs:router; a module alone stands "
    "for all its routers. The current directory is on the import path.",
    show_default=False,
)
Targets = Annotated[list[str], _TARGETS]
OptionalTargets = Annotated[list[str] | None, _TARGETS]
Host = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Listen there; other than loopback needs API keys  [default: 127.0.0.1]",
        show_default=False,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(metavar="N", help="0 takes a free one  [default: 8000]", show_default=False),
]
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

# -- a new job ---------------------------------------------------------------------------------------------

_SECONDS, _TIME, _COUNT, _PAIR = "SECONDS", "TIME", "N", "NAME=VALUE"

JobData = Annotated[
    str | None,
    typer.Argument(
        metavar="JSON|@FILE|-",
        help="The job's data, a JSON object: given here, in a file (@job.json) or on standard input (-).",
        show_default=False,
    ),
]
JobPriority = Annotated[Literal["low", "normal", "high"], typer.Option(help="Higher ones are started first.")]
Delay = Annotated[
    float | None,
    typer.Option(metavar=_SECONDS, help="Do not start it before so many seconds have passed."),
]
RunAt = Annotated[
    str | None, typer.Option(metavar=_TIME, help="Do not start it before, such as 2030-01-31T08:00:00Z.")
]
Ttl = Annotated[
    float | None,
    typer.Option(metavar=_SECONDS, help="Let it fail if it has not been started within so many seconds."),
]
AttemptTimeout = Annotated[float | None, typer.Option(metavar=_SECONDS, help="How long one attempt may run.")]
MaxAttempts = Annotated[
    int | None, typer.Option(metavar=_COUNT, help="How many attempts may fail before the job does.")
]
MaxLost = Annotated[
    int | None, typer.Option(metavar=_COUNT, help="How many times its worker may vanish before it fails.")
]
UniqueKey = Annotated[
    str | None, typer.Option(metavar="KEY", help="Only one live job of the type may have this key.")
]
UniqueUntil = Annotated[
    Literal["finished", "started"], typer.Option(help="How long the job holds its unique key.")
]
OnConflict = Annotated[
    Literal["return", "reject", "replace"],
    typer.Option(help="If the key is taken: answer with the other job, exit 4, or renew the waiting one."),
]
OwnId = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="An id of your own; repeating it changes nothing."),
]
NewMetadata = Annotated[
    list[str] | None,
    typer.Option(metavar=_PAIR, help="Kept with the job; may be given several times."),
]
OptionalTypeName = Annotated[
    str | None,
    typer.Argument(metavar="TYPE", help="The job type; with --ndjson lines may name it.", show_default=False),
]
ManyData = Annotated[
    str | None,
    typer.Option(
        "--ndjson",
        metavar="@FILE|-",
        help="Put many jobs in, one for each line: the data of a job of TYPE, or without TYPE a whole job, "
        'such as {"job_type": "email", "data": {"to": "ada"}}.',
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end and print the results.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show its progress live, to the end.")]
WaitTimeout = Annotated[
    float | None,
    typer.Option(metavar=_SECONDS, help="Wait or watch so long at most, then exit 7; the job goes on."),
]

# -- jobs that there are -----------------------------------------------------------------------------------


class Status(StrEnum):
    """The statuses of jobs, without loading the library just for help."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


OnlyStatuses = Annotated[
    list[Status] | None, typer.Option(help="Only jobs with this status; may be given several times.")
]
OnlyTypes = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Only jobs of this type; may be given several times."),
]
CreatedAfter = Annotated[
    str | None, typer.Option(metavar=_TIME, help="Only jobs created after, such as 2030-01-31T08:00:00Z.")
]
CreatedBefore = Annotated[str | None, typer.Option(metavar=_TIME, help="Only jobs created before.")]
WithMetadata = Annotated[
    list[str] | None, typer.Option(metavar=_PAIR, help="Only jobs with this in their metadata.")
]
Limit = Annotated[int, typer.Option(metavar=_COUNT, min=1, max=200, help="How many jobs to show.")]
Cursor = Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on where another list ended.")]
WatchTimeout = Annotated[
    float | None, typer.Option(metavar=_SECONDS, help="Watch so long at most, then exit 7.")
]
Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it becomes the error of the job.")]

PauseReason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is shown with the job type.")
]
PauseUntil = Annotated[
    str | None,
    typer.Option("--until", metavar=_TIME, help="Resume by itself then, such as 2030-01-31T08:00:00Z."),
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
