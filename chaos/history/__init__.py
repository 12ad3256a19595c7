"""What happened in a run, written down while it happens, and the proof afterwards that nothing went wrong.

* ``events`` says what can be written down: one small dataclass for each kind of event.
* ``record`` writes events as lines of JSON, so that they survive the writer's being killed, and reads them.
* ``check`` proves the invariants over all events of a run, and counts what the run exercised.

A run goes like this::

    with Recorder(folder / "producer.ndjson") as record:           # each process has a file of its own
        asked_at = now()
        record(Asked(at=asked_at, op="p1-7", job="job-7"))         # before the call
        ...
        record(Acknowledged(at=now(), asked_at=asked_at, op="p1-7", job="job-7"))
    ...
    report = check(read_history(folder))                           # all files, merged by time
    assert report.ok, str(report)
    assert report.figures["stale_refused"] > 0                     # the run exercised what it is about

Who observes what is free: a simulation writes what its store did, a run of real processes what producers,
handlers, watchers and the injector of faults saw. A check of events that nobody wrote down does not fail;
``Run.records`` names those that are complete, where their absence would mean something.
"""

from chaos.history.check import Report, check
from chaos.history.events import (
    STORE,
    Acknowledged,
    Asked,
    Cancelled,
    Claimed,
    Deleted,
    Drained,
    Ended,
    Event,
    Fault,
    FaultsEnded,
    Read,
    Refused,
    Renewed,
    Retried,
    Run,
    Seen,
    Settled,
    Snapshot,
    Started,
    WatchEnded,
)
from chaos.history.record import Recorder, now, read_history, to_line
from chaos.history.rules import Violation

__all__ = [
    "STORE",
    "Acknowledged",
    "Asked",
    "Cancelled",
    "Claimed",
    "Deleted",
    "Drained",
    "Ended",
    "Event",
    "Fault",
    "FaultsEnded",
    "Read",
    "Recorder",
    "Refused",
    "Renewed",
    "Report",
    "Retried",
    "Run",
    "Seen",
    "Settled",
    "Snapshot",
    "Started",
    "Violation",
    "WatchEnded",
    "check",
    "now",
    "read_history",
    "to_line",
]
