"""Jobs: put in, look at, cancel, retry."""

from __future__ import annotations

from starlette.responses import Response

from jdobb_async_queue import (
    Idempotency,
    InvalidCursor,
    JobStatus,
    Outcome,
    PayloadTooLarge,
    Submission,
)
from jdobb_service import examples
from jdobb_service.answers import is_known, job_response, validators
from jdobb_service.body import read_json
from jdobb_service.idempotency import PATTERN, idempotency_of
from jdobb_service.new_jobs import explained, new_job
from jdobb_service.operations import Body, Call, Resource, Success, header, operation
from jdobb_service.parameters import PREFER, WAIT
from jdobb_service.problems import Problem, invalid
from jdobb_service.schemas import jobs as wire
from jdobb_service.security import not_for_type
from jdobb_service.strict_json import checked
from jdobb_service.visibility import check_visible, visible_job
from jdobb_service.waiting import after_storing, applied, later, wanted_wait

resource = Resource("jobs")

_SHOWN = ("ETag", "Retry-After")
_WAITED = ("Preference-Applied", "Vary")


@operation(
    resource,
    "POST",
    "/jobs",
    scope="enqueue",
    body=Body(wire.NewJob, {"new": examples.NEW_JOB, "short": {"job_type": "mail"}}),
    parameters=[
        header(
            "Idempotency-Key",
            {"type": "string", "pattern": PATTERN},
            "Repeating the request with the same key and body within 24 h gives the same job.",
        ),
        PREFER,
    ],
    success=[
        Success(
            201,
            "The job is stored, or a request with this key had stored it.",
            wire.Job,
            ("Location", *_SHOWN, *_WAITED, "Idempotent-Replayed"),
            example=examples.JOB,
        ),
        Success(
            200, "An existing job with this id or unique key.", wire.Job, ("Location", *_SHOWN, *_WAITED)
        ),
    ],
    problems=[
        "invalid-idempotency-key",
        "job-exists",
        "duplicate-job",
        "job-gone",
        "unknown-job-type",
        "idempotency-key-reused",
        "queue-full",
    ],
)
async def submit_job(call: Call) -> Response:
    """Enqueue a job."""
    value = await read_json(call)
    body = checked(wire.NewJob, value)
    if not call.caller.covers(body.job_type):
        raise not_for_type()
    idempotency = idempotency_of(call, "POST /jobs", value)
    await call.state.job_types.check(body.job_type, body.data)
    submission = await _submit(call, body, idempotency)
    call.state.metrics.stored(submission)
    job, headers = submission.job, {"location": call.path(f"/jobs/{submission.job.id}")}
    if submission.replayed:
        headers["idempotent-replayed"] = "true"
    seconds = wanted_wait(call)
    if seconds is not None and call.caller.may("read"):
        job = await after_storing(call, job, seconds)
        headers |= applied(seconds)
    is_new = submission.created or submission.replayed
    return job_response(call, job, status=201 if is_new else 200, headers=headers)


@operation(
    resource,
    "GET",
    "/jobs/{id}",
    scope="read",
    parameters=[
        header(
            "If-None-Match",
            {"type": "string"},
            "The ETag that is known already; waiting then ends when it has changed.",
        ),
        PREFER,
        WAIT,
    ],
    success=[
        Success(200, "The job.", wire.Job, (*_SHOWN, *_WAITED), example=examples.COMPLETE_JOB),
        Success(304, "The job is as it was.", None, (*_SHOWN, *_WAITED)),
    ],
    problems=["job-not-found", "validation", "too-many-waits"],
)
async def get_job(call: Call) -> Response:
    """Look at a job, or wait for it."""
    job = await visible_job(call)
    known = call.header(b"if-none-match")
    seconds = wanted_wait(call)
    headers = {}
    if seconds is not None:
        is_same = is_known(job, known)
        if not job.status.is_terminal and (known is None or is_same):
            job = await later(call, job, seconds, changed=is_same)
        headers = applied(seconds)
    if is_known(job, known):
        return Response(status_code=304, headers=validators(job) | headers)
    return job_response(call, job, headers=headers)


@operation(
    resource,
    "POST",
    "/jobs/{id}/cancel",
    scope="cancel",
    body=Body(wire.Cancellation, {"reason": {"reason": examples.CANCELLED_JOB["error"]}}, required=False),
    success=[
        Success(
            200, "The job is cancelled, now or before.", wire.Job, ("ETag",), example=examples.CANCELLED_JOB
        )
    ],
    problems=["job-not-found", "job-terminal"],
)
async def cancel_job(call: Call) -> Response:
    """Cancel a pending or processing job.

    Its status is `cancelled` when this answers; a running handler is told within a second.
    """
    body = checked(wire.Cancellation, await read_json(call, optional=True))
    await check_visible(call)
    outcome, job = await call.queue.try_cancel(call.job_id(), body.reason)
    if job is None:
        raise Problem("job-not-found")
    call.state.metrics.settled(outcome, job)
    if outcome is not Outcome.OK and job.status is not JobStatus.CANCELLED:
        raise Problem("job-terminal")
    return job_response(call, job)


@operation(
    resource,
    "POST",
    "/jobs/{id}/retry",
    scope="enqueue",
    success=[Success(200, "The job is ready again.", wire.Job, _SHOWN, example=examples.JOB)],
    problems=["job-not-found", "invalid-transition", "duplicate-job"],
)
async def retry_job(call: Call) -> Response:
    """Make a failed or cancelled job ready now, as if it had never run."""
    await check_visible(call)
    outcome, job = await call.queue.try_retry(call.job_id())
    if job is None:
        raise Problem("job-not-found")
    if outcome is Outcome.CONFLICT:
        raise Problem("duplicate-job")
    if outcome is not Outcome.OK:
        raise Problem("invalid-transition")
    return job_response(call, job)


async def _submit(call: Call, body: wire.NewJob, idempotency: Idempotency | None) -> Submission:
    try:
        return await call.queue.submit(new_job(call, body), idempotency=idempotency)
    except (PayloadTooLarge, InvalidCursor):
        raise
    except (ValueError, TypeError) as error:
        raise explained(body, str(error)) or invalid("#", "not acceptable") from error
