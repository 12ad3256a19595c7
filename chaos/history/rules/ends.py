"""How jobs end: each does, once, for good, and with the result that was accepted."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.history.events import Cancelled, Event, Read, Seen, Settled, Snapshot
from chaos.history.jobs import TERMINAL, History, JobHistory
from chaos.history.rules.violation import Violation

Told = Settled | Cancelled | Read | Snapshot
"""What tells a job's status."""


def no_acknowledged_job_is_lost(history: History, job: JobHistory) -> Iterator[Violation]:
    """I1: every acknowledged enqueue reaches a terminal status and can be read after the final drain."""
    if not job.acknowledged or job.deleted or all(history.forgot(event) for event in job.acknowledged):
        return
    if job.snapshot is None or job.snapshot.status is None:
        yield Violation("I1", job.id, "was acknowledged, and the store does not know it")
    elif job.snapshot.status not in TERMINAL:
        yield Violation("I1", job.id, f"was acknowledged, and is {job.snapshot.status} in the end")


def terminal_statuses_are_final(history: History, job: JobHistory) -> Iterator[Violation]:
    """I3: a terminal status never changes, save by an explicit retry of a failed or cancelled job."""
    told: list[Told] = [*job.endings(), *job.reads]
    if job.snapshot is not None:
        told.append(job.snapshot)
    found = [(event, status) for event in told if (status := _status(event)) is not None]
    known = sorted((item for item in found if item[1] in TERMINAL), key=lambda item: item[0].at)
    for later, status in found:
        before = [item for item in known if item[0].at < later.since]
        if before and before[-1][1] != status and not _may_change(history, job, *before[-1], later):
            earlier, was = before[-1]
            yield Violation("I3", job.id, f"was {was} at {earlier.at:.3f} and {status} at {later.at:.3f}")
    yield from _terminal_updates_are_final(job)


def at_most_one_completion_is_accepted(history: History, job: JobHistory) -> Iterator[Violation]:
    """I5: a job ends at most once, and once more for each explicit retry."""
    endings = job.endings()
    if len(endings) <= 1 + len(job.possible_retries()):
        return
    if not any(history.forgot(event, endings[-1].at) for event in endings[:-1]):
        said = ", ".join(f"{_status(event)} at {event.at:.3f}" for event in endings)
        yield Violation("I5", job.id, f"ended {len(endings)} times: {said}")


def complete_jobs_have_their_accepted_result(_: History, job: JobHistory) -> Iterator[Violation]:
    """Results: a complete job has those of the completion that was accepted."""
    told = job.snapshot
    accepted = [
        event for event in job.endings() if isinstance(event, Settled) and event.outcome == "complete"
    ]
    if told is None or told.status != "complete" or len(accepted) != 1:
        return
    if accepted[0].results != told.results:
        yield Violation("results", job.id, f"has {told.results!r}, accepted was {accepted[0].results!r}")


def the_backlog_drains(history: History) -> Iterator[Violation]:
    """L1: after the faults end the backlog drains within two leases and ten seconds."""
    ended, drained = history.faults_ended, history.drained
    if ended is None:
        return
    within = 2 * history.lease + 10
    if drained is None:
        yield Violation("L1", "the run", "never drained after the faults ended")
    elif drained.at - ended.at > within:
        took = drained.at - ended.at
        yield Violation("L1", "the run", f"took {took:.1f} s to drain, more than {within:.1f}")


def _status(event: Told) -> str | None:
    match event:
        case Settled():
            return event.outcome
        case Cancelled():
            return "cancelled"
        case _:
            return event.status


def _may_change(history: History, job: JobHistory, earlier: Event, was: str, later: Event) -> bool:
    if history.forgot(earlier, later.at):
        return True
    return was != "complete" and job.was_retried_between(earlier, later)


def _terminal_updates_are_final(job: JobHistory) -> Iterator[Violation]:
    updates = {event.seq: event for events in job.seen.values() for event in events if not event.gap}
    last: Seen | None = None
    for _, update in sorted(updates.items()):
        may_change = last is None or (last.status != "complete" and bool(job.possible_retries()))
        if last is not None and last.status in TERMINAL and update.status != last.status and not may_change:
            yield Violation("I3", job.id, f"an update says {update.status} after {last.status}")
        if update.kind == "status":
            last = update
