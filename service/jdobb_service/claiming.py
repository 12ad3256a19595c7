"""Claims over HTTP: they wait for work, and what nobody is there to receive goes back."""

from __future__ import annotations

import asyncio
import re

import structlog
from starlette.requests import ClientDisconnect

from jdobb_async_queue import Job, JobQueue, JobQueueError
from jdobb_service.operations import Call
from jdobb_service.schemas.worker import Claim
from jdobb_service.waiting import disconnected

_LITERAL = re.compile(r"[A-Za-z0-9._:-]+")
_LOOK_AGAIN = 1.0
_TURNS = 4
"""How often the event loop turns before an answer: a close that has come is read, told, heard of."""

log = structlog.get_logger("jdobb_service")


async def claimed_for(call: Call, claim: Claim, wait: float) -> list[Job]:
    """Claim for a client, waiting up to ``wait`` seconds for the first job.

    Ends early, with nothing, when the process closes. Raises ``ClientDisconnect`` when the client went away:
    what was claimed for it has been released then.
    """
    work = asyncio.ensure_future(_claim(call, claim, wait))
    gone = asyncio.ensure_future(disconnected(call.receive))
    closing = asyncio.ensure_future(call.state.closing.wait())
    is_received = False
    try:
        await asyncio.wait((work, gone, closing), return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        await asyncio.wait((work,))
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if gone.done():
            raise ClientDisconnect
        jobs = [] if work.cancelled() else work.result()
        is_received = True
        return jobs
    finally:
        gone.cancel()
        closing.cancel()
        if not is_received:
            await _give_back(call.queue, work)


async def _give_back(queue: JobQueue, work: asyncio.Future[list[Job]]) -> None:
    """End a claim and release what it got."""
    work.cancel()
    await asyncio.wait((work,))
    if work.cancelled() or work.exception() is not None:
        return
    for job in work.result():
        try:
            await queue.release(job.id, lease_token=job.lease_token or "")
        except JobQueueError as error:
            log.warning("claim not released; its lease ends by itself", job_id=job.id, error=str(error))


async def _claim(call: Call, claim: Claim, wait: float) -> list[Job]:
    if claim.job_types is not None or not call.caller.limited:
        return await _claim_of(call, claim, claim.job_types, wait)
    loop = asyncio.get_running_loop()
    ends = loop.time() + wait
    while True:
        left = max(0.0, ends - loop.time())
        types = await _types_of(call)
        if types:
            jobs = await _claim_of(call, claim, types, min(left, _LOOK_AGAIN))
        else:
            jobs = []
            await asyncio.sleep(min(left, _LOOK_AGAIN))
        if jobs or left <= _LOOK_AGAIN:
            return jobs


async def _claim_of(call: Call, claim: Claim, types: list[str] | None, wait: float) -> list[Job]:
    return await call.queue.claim_many(
        types, claim.limit, worker_id=claim.worker_id, lease=claim.lease, wait=wait
    )


async def _types_of(call: Call) -> list[str]:
    """Return the job types that the caller's key is for: those it names, and known ones that fit."""
    key = call.caller.key
    named = [] if key is None else [item for item in key.job_types if _LITERAL.fullmatch(item)]
    if key is None or len(named) == len(key.job_types):
        return named
    known = (info.job_type for info in await call.queue.job_types())
    return list(dict.fromkeys([*named, *(job_type for job_type in known if key.covers(job_type))]))
