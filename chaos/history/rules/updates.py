"""What watchers see: every update once, in order, the terminal one last."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.history.events import Seen
from chaos.history.jobs import TERMINAL, History, JobHistory
from chaos.history.rules.violation import Violation

Known = dict[int, tuple[str, str]]
"""Of each seq the update's kind and status."""


def updates_grow_and_end(history: History, job: JobHistory) -> Iterator[Violation]:
    """Check that watchers see each once, in order, none left out, and the terminal one last."""
    if history.forgot_some(job):
        return
    known: Known = {}
    if job.snapshot is not None:
        known = {seq: (kind, status) for seq, kind, status in job.snapshot.updates}
    for watcher, events in job.seen.items():
        seqs = [event.seq for event in events]
        if seqs != sorted(set(seqs)):
            yield Violation("updates", job.id, f"{watcher} saw {seqs}, which does not grow")
        for event in events:
            if not event.gap:
                yield from _differ(watcher, event, known)
    for watcher, events in job.seen.items():
        yield from _left_out(job, watcher, events, known)
    for ended in [] if job.deleted else job.watches_ended:
        last = job.seen[ended.watcher][-1:]
        if not last or last[0].status not in TERMINAL:
            what = f"the stream of {ended.watcher} ended without the terminal one"
            yield Violation("updates", job.id, what)


def _differ(watcher: str, event: Seen, known: Known) -> Iterator[Violation]:
    mine = (event.kind, event.status)
    other = known.setdefault(event.seq, mine)
    if mine != other:
        yield Violation("updates", event.job, f"update {event.seq} is {other} and, for {watcher}, {mine}")


def _left_out(job: JobHistory, watcher: str, events: list[Seen], known: Known) -> Iterator[Violation]:
    mine = {event.seq for event in events}
    missing = sorted(seq for seq in known if min(mine) < seq < max(mine) and seq not in mine)
    if missing and not any(event.gap for event in events):
        yield Violation("updates", job.id, f"{watcher} never saw {missing}")
