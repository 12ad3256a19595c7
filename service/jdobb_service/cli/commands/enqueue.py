"""``jdobb enqueue``."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from jdobb_service.cli.clients import connect
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.options import AsJson, BackendUrl, JobTypeName, Namespace, Url, instant, pairs
from jdobb_service.cli.output import document, note, print_data, printable
from jdobb_service.cli.views import job_document

if TYPE_CHECKING:
    from jdobb_async_queue import Job, NewJob
    from jdobb_service.cli.clients.base import Client

_SECONDS = "SECONDS"


async def enqueue(
    job_type: JobTypeName,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="JSON|@FILE|-",
            help="The job's data, a JSON object: given here, in a file (@job.json) or on standard input (-).",
            show_default=False,
        ),
    ] = None,
    *,
    priority: Annotated[
        Literal["low", "normal", "high"], typer.Option(help="Higher ones are started first.")
    ] = "normal",
    delay: Annotated[
        float | None,
        typer.Option(metavar=_SECONDS, help="Do not start it before so many seconds have passed."),
    ] = None,
    run_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Do not start it before, such as 2030-01-31T08:00:00Z.")
    ] = None,
    ttl: Annotated[
        float | None,
        typer.Option(metavar=_SECONDS, help="Let it fail if it has not been started within so many seconds."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar=_SECONDS, help="How long one attempt may run.")
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(metavar="N", help="How many attempts may fail before the job does.")
    ] = None,
    max_lost: Annotated[
        int | None, typer.Option(metavar="N", help="How many times its worker may vanish before it fails.")
    ] = None,
    unique_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only one live job of the type may have this key.")
    ] = None,
    unique_until: Annotated[
        Literal["finished", "started"], typer.Option(help="How long the job holds its unique key.")
    ] = "finished",
    on_conflict: Annotated[
        Literal["return", "reject", "replace"],
        typer.Option(
            help="If the key is taken: answer with the other job, exit 4, or renew the waiting one."
        ),
    ] = "return",
    job_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="An id of your own; repeating it changes nothing."),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Kept with the job; may be given several times."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end and print the results.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show its progress live, to the end.")] = False,
    wait_timeout: Annotated[
        float | None,
        typer.Option(metavar=_SECONDS, help="Wait or watch so long at most, then exit 7; the job goes on."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> int | None:
    """Put a job into the queue, and print its id.

    jdobb enqueue email '{"to": "ada@example.com"}'
    jdobb enqueue email @mail.json --priority high --wait
    jdobb enqueue report - --unique-key daily --watch < report.json
    """
    if wait and watch:
        raise Refusal(ExitCode.USAGE, "give either --wait or --watch, not both")
    new = _new_job(
        job_type=job_type,
        data=read_data(data),
        priority=priority,
        delay=delay,
        run_at=instant(run_at, "--run-at"),
        ttl=ttl,
        timeout=timeout,
        max_attempts=max_attempts,
        max_lost=max_lost,
        unique_key=unique_key,
        unique_until=unique_until,
        on_conflict=on_conflict,
        job_id=job_id,
        metadata=pairs(metadata, "--metadata") or None,
    )
    async with connect(url, backend_url, namespace) as client:
        job = await client.enqueue(new)
        if watch:
            return await _watch(client, job, wait_timeout, as_json=as_json)
        if wait:
            return await _wait(client, job, wait_timeout, as_json=as_json)
    if as_json:
        document(job_document(job))
    else:
        print_data(job.id)
    return None


async def _watch(client: Client, job: Job, timeout: float | None, *, as_json: bool) -> int:
    from jdobb_service.cli.progress import follow

    note(f"job {job.id}")
    return await follow(client, [job], timeout, as_json=as_json)


async def _wait(client: Client, job: Job, timeout: float | None, *, as_json: bool) -> int:
    from jdobb_service.cli.progress import verdict

    note(f"job {job.id}")
    ended = await client.wait(job.id, timeout)
    if as_json:
        document(job_document(ended))
    elif ended.results is not None:
        document(ended.results)
    if ended.error is not None:
        note(f"job {ended.id} is {ended.status.value}: {printable(ended.error)}")
    return verdict([ended.status])


def read_data(given: str | None) -> dict[str, Any]:
    """Return the JSON object that an argument holds or points at."""
    if given is None:
        return {}
    place, text = _text(given)
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except RecursionError:
        raise _unusable(place, "is nested too deep") from None
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise _unusable(place, f"is not JSON: {where}") from None
    except ValueError as error:
        raise _unusable(place, f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise _unusable(place, f'must be a JSON object such as {{"to": "ada"}}, got {type(value).__name__}')
    return value


def _text(given: str) -> tuple[str, str]:
    """Return a name for where the data came from, and the text."""
    if given != "-" and not given.startswith("@"):
        return "data", given
    place = "data on standard input" if given == "-" else f"data in {given[1:]}"
    try:
        return place, (_standard_input() if given == "-" else Path(given[1:]).read_bytes()).decode()
    except OSError as error:
        raise _unusable(place, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _unusable(place, f"is not UTF-8 at byte {error.start}") from None


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        note("reading the data from the terminal; Ctrl-D ends it")
    return sys.stdin.buffer.read()


def _new_job(**fields: Any) -> NewJob:
    from jdobb_async_queue import NewJob

    for name in ("delay", "ttl", "timeout"):
        if fields[name] is not None and not math.isfinite(fields[name]):
            raise Refusal(ExitCode.USAGE, f"--{name} must be a finite number, got {fields[name]}")
    return NewJob(**{name: value for name, value in fields.items() if value is not None})


def _distinct(pairs_: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs_)
    if len(found) != len(pairs_):
        message = "a name occurs twice in one object"
        raise ValueError(message)
    return found


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not a JSON number"
    raise ValueError(message)


def _unusable(place: str, why: str) -> Refusal:
    return Refusal(ExitCode.USAGE, f"{place} {why}")
