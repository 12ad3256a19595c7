"""``jdobb enqueue``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jdobb_service.cli.clients import connect
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.job_data import read_data
from jdobb_service.cli.options import (
    AsJson,
    AttemptTimeout,
    BackendUrl,
    Delay,
    JobData,
    JobPriority,
    JobTypeName,
    MaxAttempts,
    MaxLost,
    Namespace,
    NewMetadata,
    OnConflict,
    OwnId,
    RunAt,
    Ttl,
    UniqueKey,
    UniqueUntil,
    Url,
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


async def enqueue(
    job_type: JobTypeName,
    data: JobData = None,
    *,
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
    show = _watch if watch else _wait if wait else _print
    async with connect(url, backend_url, namespace) as client:
        return await show(client, await client.enqueue(new), wait_timeout, as_json=as_json)


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

    for name in ("delay", "ttl", "timeout"):
        if fields[name] is not None and not math.isfinite(fields[name]):
            raise Refusal(ExitCode.USAGE, f"--{name} must be a finite number, got {fields[name]}")
    return NewJob(**{name: value for name, value in fields.items() if value is not None})
