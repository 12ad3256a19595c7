"""``jdobb enqueue``."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from jdobb_service.cli.clients import connect
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.hints import tell_of_unknown_type
from jdobb_service.cli.job_data import read_data
from jdobb_service.cli.option_groups import Place
from jdobb_service.cli.options import (
    AsJson,
    AttemptTimeout,
    Delay,
    JobData,
    JobPriority,
    ManyData,
    MaxAttempts,
    MaxLost,
    NewMetadata,
    OnConflict,
    OptionalTypeName,
    OwnId,
    RunAt,
    Ttl,
    UniqueKey,
    UniqueUntil,
    Wait,
    WaitTimeout,
    Watch,
    instant,
    pairs,
)
from jdobb_service.cli.output import document, note, print_data, printable
from jdobb_service.cli.views import job_document

if TYPE_CHECKING:
    from jdobb_async_queue import Job, NewJob
    from jdobb_service.cli.clients.base import Client


_DEFAULTS = {"priority": "normal", "unique_until": "finished", "on_conflict": "return"}


async def enqueue(
    job_type: OptionalTypeName = None,
    data: JobData = None,
    *,
    ndjson: ManyData = None,
    priority: JobPriority = "normal",
    delay: Delay = None,
    run_at: RunAt = None,
    ttl: Ttl = None,
    timeout: AttemptTimeout = None,
    max_attempts: MaxAttempts = None,
    max_lost: MaxLost = None,
    unique_key: UniqueKey = None,
    unique_until: UniqueUntil = "finished",
    on_conflict: OnConflict = "return",
    job_id: OwnId = None,
    metadata: NewMetadata = None,
    wait: Wait = False,
    watch: Watch = False,
    wait_timeout: WaitTimeout = None,
    as_json: AsJson = False,
    place: Place,
) -> int | None:
    """Put a job into the queue, and print its id.

    jdobb enqueue email '{"to": "ada@example.com"}'
    jdobb enqueue email @mail.json --priority high --wait
    jdobb enqueue report - --unique-key daily --watch < report.json
    jdobb enqueue email --ndjson @mails.ndjson
    """
    options = {
        "priority": priority,
        "delay": delay,
        "run_at": instant(run_at, "--run-at"),
        "ttl": ttl,
        "timeout": timeout,
        "max_attempts": max_attempts,
        "max_lost": max_lost,
        "unique_key": unique_key,
        "unique_until": unique_until,
        "on_conflict": on_conflict,
        "job_id": job_id,
        "metadata": pairs(metadata, "--metadata") or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if ndjson is not None:
        _check_many(job_type, data, given, is_followed=wait or watch)
        await _enqueue_many(job_type, ndjson, given, place, as_json=as_json)
        return None
    if job_type is None:
        raise Refusal(ExitCode.USAGE, "name the job type: jdobb enqueue TYPE; or give many jobs by --ndjson")
    if wait and watch:
        raise Refusal(ExitCode.USAGE, "give either --wait or --watch, not both")
    new = _new_job(job_type=job_type, data=read_data(data), **given)
    show = _watch if watch else _wait if wait else _print
    async with connect(place.url, place.backend_url, place.namespace) as client:
        stored = await client.enqueue(new)
        await tell_of_unknown_type(client, job_type)
        try:
            return await show(client, stored, wait_timeout, as_json=as_json)
        except asyncio.CancelledError:  # Ctrl-C
            note(f"job {stored.id} goes on; `jdobb cancel {stored.id}` ends it")
            raise


def _check_many(job_type: str | None, data: str | None, given: dict[str, Any], *, is_followed: bool) -> None:
    """Refuse what cannot be meant for many jobs."""
    if data is not None or is_followed or given.keys() & {"job_id", "unique_key"}:
        message = "--ndjson goes without data, --id, --unique-key, --wait and --watch: they are for one job"
        raise Refusal(ExitCode.USAGE, message)
    changed = {name for name, value in given.items() if _DEFAULTS.get(name) != value}
    if job_type is None and changed:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(changed))
        raise Refusal(
            ExitCode.USAGE, f"without TYPE each line says all of its job, so {options} is not taken"
        )


async def _enqueue_many(
    job_type: str | None, ndjson: str, given: dict[str, Any], place: Place, *, as_json: bool
) -> None:
    from jdobb_service.cli.job_lines import enqueue_lines, read_lines, whole_job

    def with_options(data: dict[str, Any]) -> NewJob:
        return _new_job(job_type=job_type, data=data, **given)

    def show(job: Job) -> None:
        if as_json:
            document(job_document(job))
        else:
            print_data(job.id)

    lines = read_lines(ndjson, whole_job if job_type is None else with_options)
    async with connect(place.url, place.backend_url, place.namespace) as client:
        await enqueue_lines(client, lines, show)


async def _print(_client: Client, job: Job, _timeout: float | None, *, as_json: bool) -> None:
    if as_json:
        document(job_document(job))
    else:
        print_data(job.id)


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


def _new_job(**fields: Any) -> NewJob:
    from jdobb_async_queue import NewJob

    for name in fields.keys() & {"delay", "ttl", "timeout"}:
        if not math.isfinite(fields[name]):
            raise Refusal(ExitCode.USAGE, f"--{name} must be a finite number, got {fields[name]}")
    return NewJob(**fields)
