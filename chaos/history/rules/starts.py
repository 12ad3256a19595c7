"""What runs: nothing that was not enqueued, nothing after the end, and nothing twice without a reason."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from chaos.history.events import Cancelled, Claimed, Fault, Settled, Started
from chaos.history.jobs import RETURNS, History, JobHistory
from chaos.history.rules.violation import Violation

TOLD_WITHIN = 1.0
"""Seconds within which a handler learns that its job was cancelled."""
ROUNDING = 0.002
"""Seconds: the store counts in milliseconds."""
SLACK = 0.25
"""Seconds that a machine under load may add to it."""


def everything_executed_was_enqueued(history: History, job: JobHistory) -> Iterator[Violation]:
    """I2: no job runs, or is stored, that nobody asked for."""
    if not (job.is_stored or job.claims) or job.asked or job.acknowledged:
        return
    if not any(op in history.asked for op in job.ops()):
        yield Violation("I2", job.id, "exists, and nobody enqueued it")


def nothing_starts_after_the_end(history: History, job: JobHistory) -> Iterator[Violation]:
    """I4 and I9: no start after the accepted completion, or after a cancellation."""
    for ending in job.endings():
        name, attempt = "I4" if isinstance(ending, Settled) else "I9", job.attempt_of(ending)
        for claim in job.claims:
            is_later = claim.since > ending.at if attempt is None else claim.attempt > attempt
            is_excused = (
                history.forgot(ending, claim.at)
                or history.forgot(claim, ending.at, is_promised=False)
                or job.was_retried_between(ending, claim)
            )
            if is_later and not is_excused:
                yield Violation(name, job.id, f"attempt {claim.attempt} was claimed after its end")
        for start in job.starts:
            is_later = start.at > ending.at and not history.forgot(ending, start.at)
            if is_later and _is_too_late(history, job, start, ending):
                yield Violation(name, job.id, f"attempt {start.attempt} started after its end")


def second_starts_are_explained(history: History, job: JobHistory) -> Iterator[Violation]:
    """I7: every second start has a recorded cause."""
    for earlier, later in second_starts(job):
        if why_again(history, job, earlier, later) is None:
            what = f"attempt {later.attempt} started after attempt {earlier.attempt} for no recorded cause"
            yield Violation("I7", job.id, what)


def no_handler_starts_on_a_lease_that_ran_out(history: History, job: JobHistory) -> Iterator[Violation]:
    """I4: a handler starts only while its lease runs, unless its worker stood still just before."""
    for start in job.starts:
        claim = job.claim_of(start.token)
        if not isinstance(claim, Claimed) or any(
            history.struck(start.worker, claim.since, start.at, "pause")
        ):
            continue
        late = start.at - claim.at - history.lease_of(claim)
        if late > ROUNDING:
            what = f"attempt {start.attempt} started {late:.3f} s after its lease ran out"
            yield Violation("I4", job.id, what)


def cancelled_handlers_are_told(history: History, job: JobHistory) -> Iterator[Violation]:
    """I9: a running handler is told within a second of a cancellation, unless its worker stood still."""
    if not history.records("ended"):
        return
    for cancel in job.cancels:
        for start in job.starts:
            if not cancel.accepted or start.attempt != cancel.attempt:
                continue
            told_at = max(start.at, cancel.at) + TOLD_WITHIN + SLACK
            ended = next((end.at for end in job.ends if end.token == start.token), math.inf)
            faults = [
                *history.struck(start.worker, cancel.since, told_at, "kill", "pause", "cut"),
                *(fault for fault in history.silence(start.worker) if fault.at <= told_at),
            ]
            if ended > told_at and not faults:
                what = f"attempt {start.attempt} ran on until {ended:.3f}, cancelled at {cancel.at:.3f}"
                yield Violation("I9", job.id, what)


def second_starts(job: JobHistory) -> list[tuple[Started, Started]]:
    """Return each start of a job but the first, behind the one before."""
    return list(itertools.pairwise(sorted(job.starts, key=lambda start: (start.attempt, start.at))))


def why_again(history: History, job: JobHistory, earlier: Started, later: Started) -> str | None:
    """Return why a job was started again: ``settled``, ``retry``, the kind of a fault, or None.

    A fault explains it that struck the earlier start's worker (or the store) and kept it from renewing its
    lease for a third of it: a worker renews at a third, so that much more may have been missed. One that was
    killed, and had written nothing down for so long, may have stood still. The lease runs while the claim's
    answer is on its way.
    """
    claim = job.claim_of(earlier.token)
    begin = earlier.at if claim is None else claim.since
    if any(_gave_back(job, event, earlier, later) for event in job.settled):
        return "settled"
    if job.was_retried_between(earlier if claim is None else claim, later):
        return "retry"
    for fault in history.struck(earlier.worker, begin, later.at, "kill", "clock"):
        return fault.fault
    held_by = claim or earlier
    if history.died_settling(job, held_by, later.at):
        return "kill"
    if history.is_of_two_lives(held_by, later) or history.forgot_hold(job, held_by, later.at):
        return "rollback"
    held, longest, covered = 0.0, ("", 0.0), begin
    faults = [
        *history.struck(earlier.worker, begin, later.at, "pause", "cut"),
        *(fault for fault in history.silence(earlier.worker) if fault.at <= later.at),
        Fault(at=held_by.since, fault="cut", target=earlier.worker, until=held_by.at),
    ]
    for fault in sorted(faults, key=lambda fault: fault.at):  # those that overlap count once
        until = later.at if fault.until is None else min(fault.until, later.at)
        lasted = max(0.0, until - max(fault.at, covered))
        held, covered = held + lasted, max(covered, until)
        longest = max(longest, (fault.fault, lasted), key=lambda item: item[1])
    return longest[0] if held >= history.lease / 3 else None


def _gave_back(job: JobHistory, event: Settled, earlier: Started, later: Started) -> bool:
    is_its = event.token in {earlier.token, None} and event.accepted is not False
    return is_its and event.outcome in RETURNS and job.settled_since(event) <= later.at


def _is_too_late(history: History, job: JobHistory, start: Started, ending: Settled | Cancelled) -> bool:
    """Tell whether a handler began under a claim that was over, though nothing held its worker up."""
    attempt = job.attempt_of(ending)
    if attempt is None or start.attempt > attempt:
        return False  # a later claim, which is looked at by itself
    if start.attempt == attempt and isinstance(ending, Cancelled):
        return False  # a cancellation may cross the claim's answer
    claim = job.claim_of(start.token)
    begin = start.at if claim is None else claim.since
    if claim is not None and any(_crossed(cancel, claim, start) for cancel in job.cancels):
        return False  # and what came after that cancellation, too
    return not any(history.struck(start.worker, begin, start.at, "pause"))


def _crossed(cancel: Cancelled, claim: Claimed | Started, start: Started) -> bool:
    """Tell whether a claim was cancelled while its answer was on its way, and its handler began soon."""
    is_its = cancel.accepted is not False and cancel.attempt == start.attempt
    return is_its and cancel.since <= claim.at and start.at <= cancel.at + TOLD_WITHIN + SLACK
