"""Which jobs and job types a caller may see: those that the API key is for, all without a limit."""

from __future__ import annotations

from jdobb_async_queue import Job
from jdobb_service.operations import Call
from jdobb_service.problems import Problem


async def visible_job(call: Call) -> Job:
    """Return the job in the path. Raises ``Problem`` when there is none that the caller may see."""
    job = await call.queue.get(call.job_id())
    if job is None or not call.caller.sees(job):
        raise Problem("job-not-found")
    return job


async def check_visible(call: Call) -> None:
    """Raise ``Problem`` when the caller may not see the job in the path; who may see all costs no look."""
    if call.caller.limited:
        await visible_job(call)


async def visible_types(call: Call, wanted: list[str] | None) -> list[str] | None:
    """Return which of the job types (none named: of all) the caller may see; None stands for all."""
    if not call.caller.limited:
        return wanted or None
    known = wanted or await call.queue.counts()
    return [name for name in known if call.caller.covers(name)]
