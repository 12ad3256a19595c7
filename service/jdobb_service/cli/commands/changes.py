"""``jdobb cancel``, ``retry`` and ``delete``: jobs by their ids, or those that options choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jdobb_service.cli.clients import connect
from jdobb_service.cli.each import each
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.option_groups import Choice, Place
from jdobb_service.cli.options import AsJson, OptionalJobIds, Reason
from jdobb_service.cli.output import document, print_data
from jdobb_service.cli.views import job_document

if TYPE_CHECKING:
    from jdobb_async_queue import Job


async def cancel(
    job_ids: OptionalJobIds = None,
    *,
    reason: Reason = None,
    choice: Choice,
    as_json: AsJson = False,
    place: Place,
) -> int:
    """Cancel jobs that wait or run; a running handler is stopped.

    A job that is cancelled already counts as done; one that is complete or failed gives exit code 4.
    Without ids, options choose the jobs: those of them that wait or run.

    jdobb cancel 0199b6e1-… --reason "sent by hand"
    jdobb cancel --type email --metadata customer=42 --dry-run
    """
    if reason is not None and choice.is_made:
        raise Refusal(ExitCode.USAGE, "--reason is for jobs that are named by their ids")
    if _is_choice(job_ids, choice):
        return await _change("cancel", choice, place, as_json=as_json)
    async with connect(place.url, place.backend_url, place.namespace) as client:
        return await each(
            job_ids or [], lambda job_id: client.cancel(job_id, reason), _Changed(as_json=as_json)
        )


async def retry(
    job_ids: OptionalJobIds = None, *, choice: Choice, as_json: AsJson = False, place: Place
) -> int:
    """Make failed or cancelled jobs ready again, as if they had never run.

    Without ids, options choose the jobs: those of them that failed or were cancelled.

    jdobb retry 0199b6e1-…
    jdobb retry --status failed --type email --created-after 2030-01-31T08:00:00Z --yes
    """
    if _is_choice(job_ids, choice):
        return await _change("retry", choice, place, as_json=as_json)
    async with connect(place.url, place.backend_url, place.namespace) as client:
        return await each(job_ids or [], client.retry, _Changed(as_json=as_json))


async def delete(
    job_ids: OptionalJobIds = None, *, choice: Choice, as_json: AsJson = False, place: Place
) -> int:
    """Remove jobs that have ended, with all that belongs to them.

    Without ids, options choose the jobs: those of them that have ended.

    jdobb delete 0199b6e1-…
    jdobb delete --status complete --created-before 2030-01-31T08:00:00Z --yes
    """
    if _is_choice(job_ids, choice):
        return await _change("delete", choice, place, as_json=as_json)
    async with connect(place.url, place.backend_url, place.namespace) as client:

        async def remove(job_id: str) -> str:
            await client.delete(job_id)
            return job_id

        def show(job_id: str, *, is_first: bool) -> None:
            del is_first
            if as_json:
                document({"id": job_id, "deleted": True})
            else:
                print_data(f"{job_id} is deleted")

        return await each(job_ids or [], remove, show)


class _Changed:
    """Prints the job that was changed."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, found: Job, *, is_first: bool) -> None:
        """Print it."""
        del is_first
        if self._as_json:
            document(job_document(found))
        else:
            print_data(f"{found.id} is {found.status.value}")


def _is_choice(job_ids: Sequence[str] | None, choice: Choice) -> bool:
    """Tell whether options choose the jobs. Raises ``Refusal`` when it is not clear which jobs are meant."""
    if job_ids and choice.is_made:
        raise Refusal(ExitCode.USAGE, "give either ids or options that choose jobs, not both")
    if not job_ids and not choice.is_made:
        message = (
            "name jobs by their ids, or choose them by --status, --type, --metadata, --created-after "
            "or --created-before"
        )
        raise Refusal(ExitCode.USAGE, message)
    if job_ids and (choice.dry_run or choice.yes):
        raise Refusal(ExitCode.USAGE, "--dry-run and --yes are for jobs that options choose")
    return not job_ids


async def _change(action: Any, choice: Choice, place: Place, *, as_json: bool) -> int:
    from jdobb_service.cli.changing import change_chosen

    async with connect(place.url, place.backend_url, place.namespace) as client:
        return await change_chosen(client, action, choice, as_json=as_json)
