"""Which job of a batch is the one that the library refuses the whole batch for."""

from __future__ import annotations

from collections.abc import Sequence

from jdobb_async_queue import DuplicateJob, Job, JobExists, JobQueue, QueueFull
from jdobb_service.problems import Problem, problem_of, within
from jdobb_service.schemas.jobs import NewJob


async def located(
    queue: JobQueue, jobs: Sequence[NewJob], error: JobExists | DuplicateJob | QueueFull
) -> Problem:
    """Return the problem of a batch that was refused, with a pointer to the job in it if that is found."""
    problem = problem_of(error)
    if isinstance(error, QueueFull):
        fits = (index for index, job in enumerate(jobs) if job.job_type == error.job_type)
        return _pointing(problem, next(fits, None), "job_type")
    holder = None if error.job_id is None else await queue.get(error.job_id)
    if isinstance(error, JobExists):
        return _pointing(problem, _other_content(jobs, error, holder), "id")
    if holder is None:  # it is of the batch, so it is not stored either
        problem.members.pop("job_id", None)
    return _pointing(problem, _rejected(jobs, error, holder), "unique_key")


def _pointing(problem: Problem, index: int | None, field: str) -> Problem:
    return problem if index is None else within(problem, "jobs", index, field)


def _other_content(jobs: Sequence[NewJob], error: JobExists, holder: Job | None) -> int | None:
    """Return the first job with the taken id that is not what took it: a stored job, or the batch's first."""
    named = [index for index, job in enumerate(jobs) if job.id == error.job_id]
    if not named:
        return None
    first = jobs[named[0]] if holder is None else holder
    taken = (first.job_type, first.data)
    return next((index for index in named if (jobs[index].job_type, jobs[index].data) != taken), None)


def _rejected(jobs: Sequence[NewJob], error: DuplicateJob, holder: Job | None) -> int | None:
    """Return the first job that would have the held key for itself; one of the batch may hold it."""
    key = (error.job_type, error.unique_key)
    keyed = [index for index, job in enumerate(jobs) if (job.job_type, job.unique_key) == key]
    others = keyed[1:] if holder is None else keyed
    wanting = (index for index in others if jobs[index].on_conflict == "reject")
    return next((index for index in wanting if jobs[index].id != error.job_id), None)
