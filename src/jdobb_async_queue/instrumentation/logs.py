"""Facts as lines of the standard library's logging, under the logger ``jdobb_async_queue``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jdobb_async_queue.instrumentation import facts

if TYPE_CHECKING:
    from jdobb_async_queue.instrumentation.facts import Fact

logger = logging.getLogger("jdobb_async_queue")


def log(fact: Fact) -> None:  # noqa: C901 - one branch per fact
    """Write one fact to the log."""
    match fact:
        case facts.JobStarted():
            _started(fact)
        case facts.JobSettled():
            _settled(fact)
        case facts.WorkerStarted(worker_id, job_types, slots):
            types = ", ".join(job_types) or "nothing yet"
            logger.info("worker %s runs %s with %d slots", worker_id, types, slots)
        case facts.WorkerStopped(worker_id, released):
            logger.info("worker %s stopped; %d jobs given back", worker_id, released)
        case facts.HandlerMissing(job_type):
            logger.warning("job type %r has no handler here and is not claimed", job_type)
        case facts.JobStopped(job_id, job_type, attempt, reason):
            logger.info(
                "job %s (%s) stopped in attempt %d: %s",
                job_id, job_type, attempt, reason, extra=_names(fact),
            )  # fmt: skip
        case facts.HandlerIgnoresCancellation(job_id, job_type):
            logger.warning("the handler of job %s (%s) ignores its cancellation", job_id, job_type)
        case facts.LoopBlocked(seconds, job_type, job_id, where):
            who = f"the handler of {job_type!r} (job {job_id})" if job_type else "something"
            logger.warning("%s has blocked the event loop for %.1f s at %s", who, seconds, where)
        case facts.BackendLost(loop, error, failures):
            level = logging.WARNING if failures == 1 else logging.DEBUG
            logger.log(level, "%s cannot reach the backend (%s); trying again", loop, error)
        case facts.BackendBack(loop, failures):
            logger.warning("%s reached the backend again after %d failures", loop, failures)
        case facts.LoopFailed(loop, error):
            logger.error("%s failed and goes on", loop, exc_info=error)
        case facts.JobsSwept(rescued, expired):
            logger.info("%d expired leases rescued, %d jobs expired", rescued, expired)


def _names(fact: facts.JobStarted | facts.JobStopped | facts.JobSettled) -> dict[str, object]:
    """Return what a structured log finds the line by; a request id only where there is one."""
    names: dict[str, object] = {"job_id": fact.job_id, "job_type": fact.job_type, "attempt": fact.attempt}
    request_id = getattr(fact, "request_id", None)
    return names if request_id is None else {**names, "request_id": request_id}


def _started(fact: facts.JobStarted) -> None:
    if logger.isEnabledFor(logging.DEBUG):  # every job has this fact, and few are to be logged
        logger.debug(
            "job %s (%s) started, attempt %d", fact.job_id, fact.job_type, fact.attempt, extra=_names(fact)
        )


def _settled(fact: facts.JobSettled) -> None:
    if fact.error is None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "job %s (%s) %s in attempt %d after %.3f s",
                fact.job_id, fact.job_type, fact.outcome, fact.attempt, fact.seconds, extra=_names(fact),
            )  # fmt: skip
        return
    logger.warning(
        "job %s (%s) %s in attempt %d after %.3f s: %s%s",
        fact.job_id, fact.job_type, fact.outcome, fact.attempt, fact.seconds, fact.error,
        f"\n{fact.traceback}" if fact.traceback else "",
        extra=_names(fact),
    )  # fmt: skip
