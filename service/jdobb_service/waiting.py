"""Answers that wait: until a job is terminal or has changed, the client went away, or the time is up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive

from jdobb_async_queue import BackendError, Job, JobNotFound, JobQueue
from jdobb_service.operations import Call
from jdobb_service.parameters import seconds
from jdobb_service.problems import RETRY_AFTER, Problem, invalid, parameter

MAX_WAIT = 30.0
_PREFERENCE = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;.*)?', re.IGNORECASE)


def wanted_wait(call: Call) -> float | None:
    """Return how long the client wants to wait (RFC 7240 ``Prefer: wait=N``, or ``?wait=N``), at most 30 s.

    Raises ``Problem`` for a ``?wait`` that is no number of seconds; a preference may be ignored.
    """
    preferences = call.header(b"prefer")
    if preferences is not None:
        for preference in preferences.split(","):
            found = _PREFERENCE.fullmatch(preference)
            if found is not None:
                return min(MAX_WAIT, float(found[1]))
    asked = call.query.get("wait") if call.scope["query_string"] else None
    if asked is None:
        return None
    wait = seconds(asked)
    if wait is None:
        raise invalid(parameter("wait"), "must be a number of seconds")
    return min(MAX_WAIT, wait)


def applied(seconds: float) -> dict[str, str]:
    """Return the headers that tell a client that its preference was followed."""
    return {"preference-applied": f"wait={seconds:g}", "vary": "Prefer"}


async def after_storing(call: Call, job: Job, seconds: float) -> Job:
    """Return the job that the request has stored as ``later`` does; if it cannot be waited for, as it was.

    It is stored all the same: whoever were told of an error would send it again.
    """
    try:
        return await later(call, job, seconds)
    except (Problem, JobNotFound, BackendError):
        return job


async def later(call: Call, job: Job, seconds: float, *, changed: bool = False) -> Job:
    """Return the job when it is terminal (or ``changed``), at the latest after ``seconds``.

    Ends early when the client went away or the process closes. Raises ``Problem`` when the job is removed
    meanwhile, and too-many-waits when as many others wait as may.
    """
    with call.state.waits.take() as taken:
        if not taken:
            raise Problem("too-many-waits", headers={"retry-after": str(RETRY_AFTER)})
        if call.state.closing.is_set:
            return job
        waiting = _changed(call, job) if changed else _terminal(call.queue, job.id)
        found = await _first_of(waiting, call, seconds)
    if found is None:
        found = await call.queue.get(job.id)
    if found is None:
        raise Problem("job-not-found")
    return found


async def _terminal(queue: JobQueue, job_id: str) -> Job:
    return await queue.wait(job_id)


async def _changed(call: Call, job: Job) -> Job:
    await call.state.broadcaster.changed(job.id, job.version)
    found = await call.queue.get(job.id)
    if found is None:
        raise JobNotFound(job.id)
    return found


async def _first_of(waiting: Coroutine[Any, Any, Job], call: Call, seconds: float) -> Job | None:
    """Return what ``waiting`` gives, None when something else came first."""
    work = asyncio.ensure_future(waiting)
    others = [
        asyncio.ensure_future(call.state.closing.wait()),
        asyncio.ensure_future(disconnected(call.receive)),
    ]
    try:
        await asyncio.wait([work, *others], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        for task in (work, *others):
            task.cancel()


async def disconnected(receive: Receive) -> None:
    """Wait until the client has gone away; the request's body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
