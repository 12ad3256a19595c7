"""The decisions in a job's life, as pure functions: the only place where retry or fail is decided."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jdobb_async_queue.encoding import canonical
from jdobb_async_queue.transitions import AttemptFailure, Transition

if TYPE_CHECKING:
    import random

    from jdobb_async_queue.records import JobRecord, NewRecord, Retention


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; ``results`` is its JSON object."""

    results: bytes | None


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed.

    ``type_names`` are the error's names for ``give_up_on``; ``retry`` False fails now, True retries
    although the policy gives up on the error (while attempts are left), None leaves it to the policy;
    ``retry_in`` (seconds) replaces the policy's delay.
    """

    failure: AttemptFailure
    type_names: tuple[str, ...] = ()
    retry: bool | None = None
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """The attempt is given back unused; after ``delay`` seconds, or at its old place when None."""

    delay: float | None = None


AttemptOutcome = Completed | Failed | Released


def settle(
    outcome: AttemptOutcome, record: JobRecord, retention: Retention, rng: random.Random, *,
    lease_token: str | None = None,
) -> Transition:  # fmt: skip
    """Turn what became of an attempt into the transition that settles it.

    Without a ``lease_token`` (settling by hand) the transition is guarded by the record's version: the
    caller reads again and decides again when it answers stale.
    """
    match outcome:
        case Completed(results):
            return Transition.complete(record.id, results, retention, lease_token=lease_token)
        case Released(delay):
            token = lease_token or record.lease_token or ""
            return Transition.release(
                record.id, lease_token=token, delay=None if delay is None else millis(delay)
            )
        case Failed():
            return _settle_failure(outcome, record, retention, rng, lease_token)


def _settle_failure(
    outcome: Failed, record: JobRecord, retention: Retention, rng: random.Random, lease_token: str | None
) -> Transition:
    version = record.version if lease_token is None else None
    delay = retry_delay(outcome, record, rng)
    if delay is None:
        return Transition.fail(
            record.id, outcome.failure, retention, lease_token=lease_token, version=version
        )
    return Transition.retry_later(
        record.id, outcome.failure, millis(delay), lease_token=lease_token, version=version
    )


def retry_delay(outcome: Failed, record: JobRecord, rng: random.Random) -> float | None:
    """Return the seconds until the next attempt, or None when this failure was the last."""
    if outcome.retry is False:  # told without the settings, which may be what is broken
        return None
    policy = record.effective().retry
    failures = record.failures + 1
    if failures >= policy.max_attempts:
        return None
    if outcome.retry is None and outcome.retry_in is None and policy.gives_up_on(outcome.type_names):
        return None
    return policy.delay(failures, rng) if outcome.retry_in is None else outcome.retry_in


def rescue(record: JobRecord, retention: Retention) -> Transition:
    """Decide on a job whose lease ran out: back to pending, or failed at its ``max_lost``-th loss."""
    losses = record.losses + 1
    if losses >= record.effective().max_lost:
        return Transition.give_up(record, f"lease lost {losses} times", retention)
    return Transition.rescue(record)


def expire(record: JobRecord, retention: Retention) -> Transition:
    """End a job that did not start its first attempt within its ttl."""
    seconds = (record.ttl or 0) / 1000
    return Transition.expire(record, f"expired: not started within {seconds:g} s", retention)


def same_content(record: JobRecord, new: NewRecord) -> bool:
    """Tell whether a new job with the stored one's id asks for the same: same job type, equal data."""
    if record.job_type != new.job_type:
        return False
    return record.data == new.data or canonical(record.data) == canonical(new.data)


def millis(seconds: float) -> int:
    """Return whole milliseconds, rounded up, so that nothing is ever early.

    A nanosecond is forgiven: 16.1 s are 16,100 ms although the product is a little more.
    """
    return math.ceil(seconds * 1000 - 1e-6)
