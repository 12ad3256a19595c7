"""What came of a run: for people, and as JSON."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from chaos.conductor import Outcome
from chaos.history import STORE, Acknowledged, Asked, Event, Fault, Report, Snapshot, check, to_line
from chaos.options import Options

_STORIES = 3
_NAMES = ("job", "op", "token", "key")
"""What an event may be found by."""
_LINES = 80
_BY_ITSELF = ("stall", "late answer", "doze", "reconnect")
"""What was noted beside the injected faults."""
_EXPLAINED = tuple(f"again_after_{cause}" for cause in ("kill", "pause", "cut", "clock", "rollback"))


@dataclass(frozen=True)
class Verdict:
    """A run, judged."""

    options: Options
    outcome: Outcome
    report: Report
    command: str

    @classmethod
    def of(cls, options: Options, outcome: Outcome, command: str) -> Verdict:
        """Check everything."""
        return cls(options, outcome, check(outcome.events), command)

    @property
    def violations(self) -> list[str]:
        """Return all that must not be."""
        return [*(str(violation) for violation in self.report.violations), *self.outcome.defects]

    @property
    def windows(self) -> dict[str, int]:
        """Return how often the run met what it is about; a run that did not proves nothing."""
        figures, notes = self.report.figures, self.notes
        asked = Counter(event.op for event in self.outcome.events if isinstance(event, Asked))
        return {
            "stale completions refused": figures["stale_refused"],
            "second starts with a cause": sum(figures[name] for name in _EXPLAINED),
            "leases rescued": figures["losses"],
            "enqueues whose answer was lost": sum(times > 1 for times in asked.values())
            + figures["unanswered"],
            "reconnects": notes["reconnect"],
        }

    @property
    def counts(self) -> bool:
        """Tell whether each window was met."""
        return all(self.windows.values())

    @property
    def notes(self) -> Counter[str]:
        """Return what was noted beside the injected faults, by name."""
        faults = (event.fault for event in self.outcome.events if isinstance(event, Fault))
        return Counter(fault for fault in faults if fault in _BY_ITSELF or " " in fault)

    @property
    def forgotten(self) -> int:
        """Return how many acknowledged jobs are not there: none, unless the store may forget."""
        stored = {event.job for event in self.outcome.events if isinstance(event, Snapshot) and event.status}
        return len({event.job for event in self.outcome.events if isinstance(event, Acknowledged)} - stored)

    @property
    def exit_code(self) -> int:
        """Return 0, 1 for a violation, 3 for a run that does not count."""
        if self.violations:
            return 1
        return 0 if self.counts else 3

    def as_json(self) -> dict[str, Any]:
        """Return everything but the history."""
        options, outcome, figures = self.options, self.outcome, self.report.figures
        started = max(1, figures["started"])
        again = sum(figures[name] for name in _EXPLAINED)
        return {
            "verdict": {0: "held", 1: "violated", 3: "does not count"}[self.exit_code],
            "command": self.command,
            "backend": options.backend,
            "durability": options.durability,
            "seed": options.seed,
            "lease": options.lease,
            "seconds": {"running": round(outcome.running, 1), "draining": round(outcome.draining, 1)},
            "jobs": sum(count for name, count in figures.items() if name.startswith("jobs_")),
            "faults": dict(sorted(outcome.struck.items())),
            "acknowledged_but_forgotten": self.forgotten,
            "faults_in_all": outcome.struck.total(),
            "windows": self.windows,
            "violations": self.violations[:200],
            "violations_in_all": len(self.violations),
            "second_starts_by_cause": {
                name.removeprefix("again_after_"): count
                for name, count in sorted(figures.items())
                if name.startswith("again_after_")
            },
            "duplicate_rate": round(again / started, 6),
            "jobs_per_second": round(figures["started"] / max(0.001, outcome.running + outcome.draining), 1),
            "noted": dict(sorted(self.notes.items())),
            "figures": {
                name: count
                for name, count in sorted(figures.items())
                if not name.startswith(("again_after_", "fault"))
            },
            "versions": {
                "jdobb-async-queue": version("jdobb-async-queue"),
                "python": platform.python_version(),
                "store": outcome.store,
                "system": platform.platform(),
            },
        }

    def lines(self) -> Iterable[str]:
        """Yield the report for people."""
        said = self.as_json()
        yield (
            f"{said['verdict']}: {said['backend']} ({said['durability']}), seed {said['seed']}, "
            f"{said['jobs']} jobs, {said['faults_in_all']} faults, "
            f"{said['seconds']['running']:g} s and {said['seconds']['draining']:g} s to drain"
        )
        for name in ("windows", "faults", "second_starts_by_cause", "noted", "figures"):
            yield f"{name.replace('_', ' ')}: " + ", ".join(
                f"{key} {value}" for key, value in said[name].items()
            )
        yield f"acknowledged but forgotten: {said['acknowledged_but_forgotten']}"
        yield f"duplicates: {said['duplicate_rate']:.4%} of the jobs that were started"
        for violation in self.violations[:20]:
            yield f"VIOLATED {violation}"
        if len(self.violations) > 20:  # noqa: PLR2004 - as many as are shown
            yield f"… and {len(self.violations) - 20} more"
        for subject in dict.fromkeys(violation.subject for violation in self.report.violations[:_STORIES]):
            yield f"-- what is known of {subject}"
            yield from story(self.outcome.events, subject)
        if not self.violations and not self.counts:
            missed = ", ".join(name for name, count in self.windows.items() if not count)
            yield f"it proves nothing, for it never met: {missed}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def write(self, path: Any) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")


def story(events: list[Event], subject: str) -> list[str]:
    """Return the events of one job, and what struck its workers meanwhile, as lines of the history."""
    own = [event for event in events if subject in {getattr(event, name, None) for name in _NAMES}]
    if not own:
        return []
    workers = {getattr(event, "worker", STORE) for event in own} | {STORE}
    begin, end = own[0].since, own[-1].at
    about = [
        event
        for event in events
        if isinstance(event, Fault)
        and event.target in workers
        and begin <= (event.until or event.at)
        and event.at <= end
    ]
    told = sorted([*own, *about], key=lambda event: event.at)
    lines = [f"   {event.at - begin:9.3f} s  {to_line(event)}" for event in told]
    return lines if len(lines) <= _LINES else [*lines[: _LINES // 2], "   …", *lines[-_LINES // 2 :]]
