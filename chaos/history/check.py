"""The proof that a run went well, and the count of what it exercised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.history.events import Event
from chaos.history.jobs import RETURNS, History, JobHistory
from chaos.history.rules import JOB_RULES, RULES, Violation
from chaos.history.rules.starts import second_starts, why_again

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Report:
    """What the check of a run found.

    ``figures``: ``asked``, ``acknowledged``, ``refused``, ``unanswered`` (enqueues whose answer was lost),
    ``recovered`` (of those, how many are there), ``lost`` (and, by thirds in the order of acknowledgement,
    ``lost_first``, ``lost_middle``, ``lost_last``), ``starts``, ``started`` jobs, ``second_starts`` and of
    these ``again_after_<cause>``, ``stale_refused`` settlements, ``repeated`` ones, ``returned`` attempts,
    ``losses`` of leases, ``cancelled``, ``retried``, ``faults`` and ``fault_<kind>``, ``jobs_<status>``.
    """

    violations: list[Violation]
    figures: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Tell whether nothing was violated."""
        return not self.violations

    @property
    def broken(self) -> set[str]:
        """Return the names of the violated invariants."""
        return {violation.invariant for violation in self.violations}

    def __str__(self) -> str:
        lines = [str(violation) for violation in self.violations[:_SHOWN]]
        if len(self.violations) > _SHOWN:
            lines.append(f"… and {len(self.violations) - _SHOWN} more")
        return "\n".join([*lines, str(dict(self.figures))])


def check(events: Iterable[Event]) -> Report:
    """Check all invariants over the events of a run, which may come in any order."""
    history = History(events)
    violations = [
        found for job in history.jobs.values() for rule in JOB_RULES for found in rule(history, job)
    ]
    violations += [found for rule in RULES for found in rule(history)]
    return Report(violations, _figures(history, violations))


def _figures(history: History, violations: list[Violation]) -> Counter[str]:
    figures = _figures_of_enqueues(history, violations)
    figures["faults"] = len(history.faults)
    figures.update(f"fault_{fault.fault}" for fault in history.faults)
    for job in history.jobs.values():
        figures += _figures_of_job(history, job)
    return figures


def _figures_of_enqueues(history: History, violations: list[Violation]) -> Counter[str]:
    acknowledged = history.acknowledged()
    known = {event.op for job in history.jobs.values() for event in job.acknowledged}
    unanswered = history.asked.keys() - known - history.refused.keys()
    lost = {violation.subject for violation in violations if violation.invariant == "I1"}
    figures = Counter[str](
        asked=len(history.asked),
        acknowledged=len(acknowledged),
        refused=len(history.refused),
        unanswered=len(unanswered),
        lost=len(lost),
    )
    for index, event in enumerate(acknowledged):
        if event.job in lost:
            third = ("first", "middle", "last")[3 * index // len(acknowledged)]
            figures[f"lost_{third}"] += 1
    for job in history.jobs.values():
        ops = job.ops() | {event.op for event in job.asked}
        figures["recovered"] += bool(job.starts or job.is_stored) and not unanswered.isdisjoint(ops)
    return figures


def _figures_of_job(history: History, job: JobHistory) -> Counter[str]:
    figures = Counter[str](
        starts=len(job.starts),
        started=int(bool(job.starts)),
        stale_refused=sum(event.accepted is False and event.token is not None for event in job.settled),
        repeated=sum(event.repeated for event in job.settled),
        returned=sum(event.accepted is True and event.outcome in RETURNS for event in job.settled),
        cancelled=len(job.accepted_cancels),
        retried=sum(event.accepted is True for event in job.retries),
    )
    for earlier, later in second_starts(job):
        figures["second_starts"] += 1
        figures[f"again_after_{why_again(history, job, earlier, later)}"] += 1
    if job.snapshot is not None:
        figures["losses"] += job.snapshot.losses
        figures[f"jobs_{job.snapshot.status}"] += 1
    return figures
