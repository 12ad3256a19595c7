"""How often a job is tried: as often as it allows, and each attempt ends for a reason that was counted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaos.history.events import Snapshot
from chaos.history.jobs import History, JobHistory
from chaos.history.rules.violation import Violation


def failures_and_losses_are_bounded(history: History, job: JobHistory) -> Iterator[Violation]:
    """I10: as many failures and losses as the job allows, no more, and no fewer before it is given up."""
    told = job.snapshot
    if told is None or told.status is None or history.forgot_some(job):
        return
    if job.was_replaced():
        return  # its failures remain, but what is allowed is another's
    if told.max_attempts is not None and told.failures > told.max_attempts:
        yield Violation("I10", job.id, f"failed {told.failures} times of {told.max_attempts}")
    if told.max_lost is not None and told.losses > told.max_lost:
        yield Violation("I10", job.id, f"lost {told.losses} leases of {told.max_lost}")
    is_final = any(event.final and event.accepted is not False for event in job.settled)
    last = next((claim for claim in job.claims if claim.attempt == told.attempt), None)
    is_unheard = last is not None and history.died_settling(job, last)
    if told.status == "failed" and not (is_final or is_unheard):
        yield from _given_up_in_time(told)


def every_attempt_is_accounted_for(history: History, job: JobHistory) -> Iterator[Violation]:
    """I10: each attempt but the last failed, lost its lease, or was given back."""
    told = job.snapshot
    is_plain = not job.possible_retries() and all(event.token is not None for event in job.settled)
    if told is None or told.status is None or not is_plain or history.forgot_some(job):
        return
    if {claim.attempt for claim in job.claims} < set(range(1, told.attempt + 1)):
        return  # claims that nobody saw were given back by whoever did not get their answer
    unheard = sum(history.died_settling(job, claim) for claim in job.claims)
    released = {
        event.token for event in job.settled if event.outcome == "released" and event.accepted is not False
    }
    known = told.failures + told.losses + len(released) + unheard
    if told.attempt > known + 1:
        yield Violation(
            "I10", job.id, f"{told.attempt} attempts, of which {known} failed, were lost or returned"
        )


def _given_up_in_time(told: Snapshot) -> Iterator[Violation]:
    error = told.error or ""
    lost = re.fullmatch(r"lease lost (\d+) times", error)
    if lost is not None:
        if not told.losses == int(lost[1]) == told.max_lost:
            yield Violation("I10", told.job, f"{error}, {told.losses} lost, {told.max_lost} allowed")
    elif not error.startswith("expired") and told.max_attempts not in {None, told.failures}:
        yield Violation("I10", told.job, f"given up after {told.failures} of {told.max_attempts} failures")
