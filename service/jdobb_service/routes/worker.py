"""Workers in any language: claim, renew, settle."""

from __future__ import annotations

from typing import Any, NoReturn

from starlette.responses import Response

from jdobb_async_queue import Job, JobNotFound, LeaseState, Outcome, PayloadTooLarge
from jdobb_service import examples
from jdobb_service.answers import job_response, json_response, no_content
from jdobb_service.body import read_json
from jdobb_service.claiming import claimed_for
from jdobb_service.http_workers import enter_claim, enter_heartbeat
from jdobb_service.operations import Body, Call, Resource, Success, operation
from jdobb_service.problems import RETRY_AFTER, Problem, invalid, pointer, refused
from jdobb_service.schemas import jobs as jobs_wire
from jdobb_service.schemas import worker as wire
from jdobb_service.security import not_for_type
from jdobb_service.strict_json import check_values, checked
from jdobb_service.visibility import check_visible

resource = Resource("worker")

_SETTLED = ("ETag", "Retry-After")
_LEASE = {"job_id": "order-18", "lease_token": examples.TOKEN}
_BEAT = {"leases": [{"job_id": "order-18", "status": "ok", "lease_expires_in": 60.0}], "directive": "run"}
_ACCEPTED = frozenset({Outcome.OK, Outcome.REPEATED})


@operation(
    resource,
    "POST",
    "/worker/claim",
    scope="work",
    body=Body(
        wire.Claim,
        {"wait": {"worker_id": "mailer-1", "job_types": ["mail"], "limit": 1, "wait": 30, "lease": 60}},
    ),
    success=[
        Success(
            200,
            "Jobs, best first, each with its lease.",
            wire.ClaimedJobs,
            example={"jobs": [examples.CLAIMED_JOB]},
        ),
        Success(
            204, "No job is ready. With `Retry-After` it was not waited for one.", None, ("Retry-After",)
        ),
    ],
)
async def claim_jobs(call: Call) -> Response:
    """Claim jobs, or wait for them.

    A claim whose client goes away gives its jobs back. The wait ends early when the service shuts down.
    """
    claim = checked(wire.Claim, await read_json(call))
    for index, job_type in enumerate(claim.job_types or ()):
        if not call.caller.covers(job_type):
            place = {"pointer": pointer("job_types", index), "detail": "the API key is not for this job type"}
            raise not_for_type([place])
    if call.state.closing.is_set:
        raise Problem("draining", headers={"retry-after": str(RETRY_AFTER)})
    await enter_claim(call.queue, claim.worker_id, _host(call), claim.job_types or (), claim.limit)
    with call.state.waits.take() as may_wait:
        jobs = await claimed_for(call, claim, claim.wait if may_wait else 0.0)
    if jobs:
        return json_response({"jobs": [_claimed(call, job) for job in jobs]})
    return no_content({"retry-after": "1"} if claim.wait and not may_wait else None)


@operation(
    resource,
    "POST",
    "/worker/heartbeat",
    scope="work",
    body=Body(wire.Heartbeat, {"renew": {"worker_id": "mailer-1", "leases": [_LEASE]}}),
    success=[Success(200, "How the leases stand, and the directive.", wire.HeartbeatAnswer, example=_BEAT)],
)
async def heartbeat(call: Call) -> Response:
    """Renew leases, and learn of cancelled jobs and of a directive for the worker.

    Each lease is renewed for its own length. The worker appears among the workers, with these jobs.
    """
    beat = checked(wire.Heartbeat, await read_json(call))
    covered = await _covered(call, beat)
    leases = [(lease.job_id, lease.lease_token) for lease in beat.leases]
    held = [lease for lease in leases if lease[0] in covered]
    states = await call.queue.heartbeat(held) if held else []
    known = dict(zip(held, states, strict=True))
    answers = [_lease_state(lease[0], known.get(lease)) for lease in leases]
    running = dict.fromkeys(job_id for job_id, _ in leases)
    stopping = dict.fromkeys(answer.job_id for answer in answers if answer.status != "ok")
    directive = await enter_heartbeat(call.queue, beat.worker_id, _host(call), running, stopping)
    return json_response({"leases": answers, "directive": directive})


@operation(
    resource,
    "POST",
    "/worker/jobs/{id}/progress",
    scope="work",
    body=Body(wire.Progress, {"half": {"lease_token": examples.TOKEN, "progress": 0.5, "message": "half"}}),
    success=[
        Success(
            200,
            "The lease is renewed, or the job was cancelled.",
            wire.ProgressAnswer,
            example={"status": "ok", "lease_expires_in": 60.0},
        )
    ],
    problems=["job-not-found", "lease-lost"],
)
async def report_progress(call: Call) -> Response:
    """Report progress of a job, and renew its lease.

    A worker that reports more often than its lease lasts needs no heartbeat.
    """
    said = checked(wire.Progress, await read_json(call))
    await check_visible(call)
    state = await call.queue.report(call.job_id(), said.progress, said.message, lease_token=said.lease_token)
    if state.status == "lost":
        raise Problem("lease-lost")
    return json_response(wire.ProgressAnswer(status=state.status, lease_expires_in=state.expires_in))


@operation(
    resource,
    "POST",
    "/worker/jobs/{id}/complete",
    scope="work",
    body=Body(wire.Completion, {"done": {"lease_token": examples.TOKEN, "results": examples.RESULTS}}),
    success=[
        Success(
            200,
            "The job is complete, now or by this call before.",
            jobs_wire.Job,
            ("ETag",),
            example=examples.COMPLETE_JOB,
        )
    ],
    problems=["job-not-found", "lease-lost"],
)
async def complete_job(call: Call) -> Response:
    """Complete a claimed job.

    With a token that is no longer current nothing changes; repeating the call with its own token is fine.
    """
    said = checked(wire.Completion, await read_json(call))
    await check_visible(call)
    try:
        answer = await call.queue.try_complete(call.job_id(), said.results, lease_token=said.lease_token)
    except PayloadTooLarge:
        raise
    except (ValueError, TypeError) as error:
        _explain_results(said, error)
    return _settled(call, answer)


@operation(
    resource,
    "POST",
    "/worker/jobs/{id}/fail",
    scope="work",
    body=Body(
        wire.Failure,
        {"later": {"lease_token": examples.TOKEN, "error": examples.FAILED_ATTEMPT, "retry_in": 30}},
    ),
    success=[
        Success(
            200,
            "The attempt is counted as failed.",
            jobs_wire.Job,
            _SETTLED,
            example=examples.BACKING_OFF_JOB,
        )
    ],
    problems=["job-not-found", "lease-lost"],
)
async def fail_job(call: Call) -> Response:
    """Fail the attempt of a claimed job.

    The job waits for its next attempt while its retry policy allows one, else it is failed.
    """
    said = checked(wire.Failure, await read_json(call))
    await check_visible(call)
    answer = await call.queue.try_fail(
        call.job_id(),
        said.error.message,
        lease_token=said.lease_token,
        type=said.error.type,
        traceback=said.error.traceback,
        retry=said.retry,
        retry_in=said.retry_in,
    )
    return _settled(call, answer)


@operation(
    resource,
    "POST",
    "/worker/jobs/{id}/release",
    scope="work",
    body=Body(wire.Release, {"unused": {"lease_token": examples.TOKEN}}),
    success=[Success(200, "The job waits again.", jobs_wire.Job, _SETTLED, example=examples.RELEASED_JOB)],
    problems=["job-not-found", "lease-lost"],
)
async def release_job(call: Call) -> Response:
    """Give a claimed job back unused.

    It counts as no failure, and keeps its place unless there is a delay.
    """
    said = checked(wire.Release, await read_json(call))
    await check_visible(call)
    answer = await call.queue.try_release(call.job_id(), lease_token=said.lease_token, delay=said.delay)
    return _settled(call, answer)


def _lease_state(job_id: str, state: LeaseState | None) -> wire.LeaseState:
    if state is None:
        return wire.LeaseState(job_id=job_id, status="lost", lease_expires_in=0.0)
    return wire.LeaseState(job_id=job_id, status=state.status, lease_expires_in=state.expires_in)


def _settled(call: Call, answer: tuple[Outcome, Job | None]) -> Response:
    outcome, job = answer
    if job is None:
        raise JobNotFound(call.job_id())
    call.state.metrics.settled(outcome, job)
    if outcome not in _ACCEPTED:
        raise Problem("lease-lost")
    return job_response(call, job)


def _claimed(call: Call, job: Job) -> dict[str, Any]:
    shown = job.model_dump(exclude={"lease_expires_at"})
    ends = 0.0 if job.lease_expires_at is None else job.lease_expires_at.timestamp()
    return {**shown, "lease_expires_in": max(0.0, round(ends - call.queue.backend.now() / 1000, 3))}


async def _covered(call: Call, beat: wire.Heartbeat) -> set[str]:
    """Return the ids of the leases' jobs that the caller's key is for."""
    ids = list(dict.fromkeys(lease.job_id for lease in beat.leases))
    if not call.caller.limited:
        return set(ids)
    found = await call.queue.get_many(ids)
    return {job.id for job in found if job is not None and call.caller.covers(job.job_type)}


def _host(call: Call) -> str:
    client = call.scope.get("client")
    return str(client[0]) if client else ""


def _explain_results(said: wire.Completion, error: Exception) -> NoReturn:
    """Raise the 422 of results that the library refused: it names the place, never the value."""
    check_values(said.results, "results")
    raise refused(str(error), {"results"}) or invalid(pointer("results"), "not acceptable") from error
