"""``jdobb get``, ``list``, ``watch``, ``cancel`` and ``retry``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from jdobb_service.cli.clients import connect
from jdobb_service.cli.exits import ExitCode, refusal_of
from jdobb_service.cli.options import (
    AsJson,
    BackendUrl,
    CreatedAfter,
    CreatedBefore,
    Cursor,
    JobIds,
    Limit,
    Namespace,
    OnlyStatuses,
    OnlyTypes,
    Reason,
    Url,
    WatchTimeout,
    WithMetadata,
    instant,
    pairs,
)
from jdobb_service.cli.output import document, note, print_data
from jdobb_service.cli.views import job_document, print_job, print_jobs

if TYPE_CHECKING:
    from jdobb_async_queue import Job


async def get(
    job_ids: JobIds,
    *,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> int:
    """Show jobs: status, progress, results.

    jdobb get 0199b6e1-…
    jdobb get 0199b6e1-… --json | jq .results
    """

    def show(job: Job, *, is_first: bool) -> None:
        if as_json:
            document(job_document(job))
            return
        if not is_first:
            print_data("")
        print_job(job)

    async with connect(url, backend_url, namespace) as client:
        return await _each(job_ids, client.get, show)


async def list_jobs(
    *,
    status: OnlyStatuses = None,
    job_type: OnlyTypes = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    metadata: WithMetadata = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> None:
    """List jobs, newest first.

    With one --status in its own order: pending ones as they will be started, finished ones latest first.
    With --json it prints {"items": […], "next_cursor": …}; a cursor that is not null leads to more.

    jdobb list --status failed
    jdobb list --type email --metadata customer=42 --json
    """
    from jdobb_service.cli.clients.base import JobFilter

    wanted = JobFilter(
        statuses=status or (),
        job_types=job_type or (),
        created_after=instant(created_after, "--created-after"),
        created_before=instant(created_before, "--created-before"),
        metadata=pairs(metadata, "--metadata"),
        limit=limit,
        cursor=cursor,
    )
    async with connect(url, backend_url, namespace) as client:
        page = await client.list_jobs(wanted)
    if as_json:
        document({"items": [job_document(job) for job in page.items], "next_cursor": page.next_cursor})
        return
    print_jobs(page.items)
    if page.next_cursor is not None:
        note(f"there are more: --cursor {page.next_cursor}")


async def watch(
    job_ids: JobIds,
    *,
    timeout: WatchTimeout = None,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> int:
    """Follow jobs live until they end: bars on a terminal, else a JSON document on a line for each update.

    Exits 0 when all jobs are complete, 1 when one failed or was cancelled.

    jdobb watch 0199b6e1-…
    jdobb watch 0199b6e1-… 0199b6e2-… --json | jq -r .message
    """
    from jdobb_service.cli.progress import follow

    async with connect(url, backend_url, namespace) as client:
        jobs = [await client.get(job_id) for job_id in dict.fromkeys(job_ids)]
        return await follow(client, jobs, timeout, as_json=as_json)


async def cancel(
    job_ids: JobIds,
    *,
    reason: Reason = None,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> int:
    """Cancel jobs that wait or run; a running handler is stopped.

    A job that is cancelled already counts as done; one that is complete or failed gives exit code 4.

    jdobb cancel 0199b6e1-… --reason "sent by hand"
    """
    async with connect(url, backend_url, namespace) as client:
        return await _each(job_ids, lambda job_id: client.cancel(job_id, reason), _changed(as_json=as_json))


async def retry(
    job_ids: JobIds,
    *,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> int:
    """Make failed or cancelled jobs ready again, as if they had never run.

    jdobb retry 0199b6e1-…
    jdobb list --status failed --json | jq -r '.items[].id' | xargs jdobb retry
    """
    async with connect(url, backend_url, namespace) as client:
        return await _each(job_ids, client.retry, _changed(as_json=as_json))


def _changed(*, as_json: bool) -> Callable[..., None]:
    def show(job: Job, *, is_first: bool) -> None:
        del is_first
        if as_json:
            document(job_document(job))
        else:
            print_data(f"{job.id} is {job.status.value}")

    return show


async def _each(
    job_ids: Sequence[str], call: Callable[[str], Awaitable[Job]], show: Callable[..., None]
) -> int:
    """Do the same to each job; one that refuses does not stop the rest. Returns the first refusal's code."""
    code = ExitCode.OK
    is_first = True
    for job_id in dict.fromkeys(job_ids):
        try:
            job = await call(job_id)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.code not in {ExitCode.NOT_FOUND, ExitCode.CONFLICT}:
                raise
            note(f"jdobb: {refusal}")
            code = code or refusal.code
        else:
            show(job, is_first=is_first)
            is_first = False
    return code
