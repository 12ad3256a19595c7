"""``jdobb get``, ``list`` and ``watch``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from jdobb_service.cli.clients import connect
from jdobb_service.cli.each import each
from jdobb_service.cli.hints import tell_of_absent_types
from jdobb_service.cli.option_groups import Place
from jdobb_service.cli.options import (
    AsJson,
    CreatedAfter,
    CreatedBefore,
    Cursor,
    JobIds,
    Limit,
    OnlyStatuses,
    OnlyTypes,
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
    place: Place,
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

    async with connect(place.url, place.backend_url, place.namespace) as client:
        return await each(job_ids, client.get, show)


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
    place: Place,
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
    async with connect(place.url, place.backend_url, place.namespace) as client:
        page = await client.list_jobs(wanted)
        while not page.items and page.next_cursor is not None:  # it has looked at as many as one call may
            page = await client.list_jobs(replace(wanted, cursor=page.next_cursor))
        if not page.items:
            await tell_of_absent_types(client, wanted.job_types)
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
    place: Place,
) -> int:
    """Follow jobs live until they end: bars on a terminal, else a JSON document on a line for each update.

    Exits 0 when all jobs are complete, 1 when one failed or was cancelled.

    jdobb watch 0199b6e1-…
    jdobb watch 0199b6e1-… 0199b6e2-… --json | jq -r .message
    """
    from jdobb_service.cli.progress import follow

    async with connect(place.url, place.backend_url, place.namespace) as client:
        jobs = [await client.get(job_id) for job_id in dict.fromkeys(job_ids)]
        try:
            return await follow(client, jobs, timeout, as_json=as_json)
        except asyncio.CancelledError:  # Ctrl-C
            note("stopped watching; what has not ended goes on")
            raise
