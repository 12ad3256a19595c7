"""Claims and their tokens: one at a time, each with its own, not before the time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from chaos.history.events import STORE, Claimed, Renewed, Settled, Started
from chaos.history.jobs import History, JobHistory
from chaos.history.rules.starts import ROUNDING
from chaos.history.rules.violation import Violation


def tokens_are_issued_once(history: History) -> Iterator[Violation]:
    """I6: no token is issued twice, and no attempt under two tokens."""
    issued: dict[str, Claimed | Started] = {}
    for job in history.jobs.values():
        attempts: dict[int, Claimed | Started] = {}
        for claim in [*job.claims, *job.repeated_claims, *job.starts]:
            first = issued.setdefault(claim.token, claim)
            if (first.job, first.attempt, first.worker) != (claim.job, claim.attempt, claim.worker):
                yield Violation("I6", claim.token, f"was issued for {_named(first)} and {_named(claim)}")
            other = attempts.setdefault(claim.attempt, claim)
            if other.token != claim.token and not history.forgot(other, claim.at, is_promised=False):
                yield Violation("I6", job.id, f"attempt {claim.attempt} has two tokens")


def accepted_calls_carry_the_latest_token(history: History, job: JobHistory) -> Iterator[Violation]:
    """I6: nothing is accepted under a token after a later claim."""
    calls: list[Settled | Renewed] = [*job.settled, *job.renewals]
    for event in calls:
        mine = job.claim_of(event.token) if event.token is not None and _is_accepted(event) else None
        if mine is None:
            continue
        since = job.settled_since(event) if isinstance(event, Settled) else event.since
        later = [claim for claim in job.claims if claim.attempt > mine.attempt and claim.at < since]
        if later and not history.forgot(later[0], event.at, is_promised=False):
            what = f"a call of attempt {mine.attempt} was accepted after attempt {later[0].attempt} began"
            yield Violation("I6", job.id, what)


def two_claims_never_live_at_once(history: History, job: JobHistory) -> Iterator[Violation]:
    """I6: a job is claimed again only when the claim before was settled, or its lease ran out."""
    if not history.records("renewed"):
        return
    for mine, following in itertools.pairwise(sorted(job.claims, key=lambda claim: claim.attempt)):
        ends = [job.settled_since(event) for event in job.settled if event.token in {mine.token, None}]
        ends += [event.since for event in [*job.cancels, *job.retries]]
        renewed = [
            event.since
            for event in job.renewals
            if event.token == mine.token and not history.forgot(event, following.at, is_promised=False)
        ]
        left = max([mine.since, *renewed]) + history.lease_of(mine) - following.at
        faults = [*history.struck(STORE, mine.since, following.at, "clock")]
        is_unseen = history.is_of_two_lives(mine, following) or history.died_settling(job, mine, following.at)
        if left > ROUNDING and min(ends, default=math.inf) > following.at and not (faults or is_unseen):
            what = f"attempt {following.attempt} was claimed {left:.3f} s before the lease before ran out"
            yield Violation("I6", job.id, what)


def nothing_is_claimed_early(history: History, job: JobHistory) -> Iterator[Violation]:
    """I11: nothing is claimed before its ``run_at``, by the store's clock."""
    asked = [event.not_before_ms for event in job.asked if event.not_before_ms is not None]
    moved = bool(job.possible_retries()) or any(event.token is None for event in job.settled)
    for claim in job.claims:
        own = [] if claim.run_ms is None else [claim.run_ms]
        first = [min(asked)] if asked and claim.attempt == 1 and not moved else []
        due = max([*own, *first], default=None)
        jumped = any(history.struck(STORE, -math.inf, claim.at, "clock"))
        if due is not None and claim.claimed_ms is not None and claim.claimed_ms < due and not jumped:
            what = f"attempt {claim.attempt} was claimed {due - claim.claimed_ms} ms early"
            yield Violation("I11", job.id, what)


def _is_accepted(event: Settled | Renewed) -> bool:
    return isinstance(event, Renewed) or (event.accepted is True and not event.repeated)


def _named(claim: Claimed | Started) -> str:
    return f"attempt {claim.attempt} of {claim.job} on {claim.worker}"
