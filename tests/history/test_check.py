from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from chaos.history import (
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
    check,
)

LEASE = 3.0
RUN = Run(at=0, lease=LEASE, records=("ended", "renewed"), seed=7)


def put(job: str = "a", at: float = 1, **fields: Any) -> list[Event]:
    """Return an enqueue that was acknowledged."""
    asked = Asked(at=at - 0.01, op=f"op-{job}", job=job, **fields)
    return [asked, Acknowledged(at=at, asked_at=at - 0.01, op=f"op-{job}", job=job)]


def begin(job: str = "a", attempt: int = 1, at: float = 2, worker: str = "w1", **fields: Any) -> list[Event]:
    """Return a claim and the start of its handler."""
    token = f"{job}.{attempt}"
    claimed = Claimed(at=at, job=job, attempt=attempt, token=token, worker=worker, **fields)
    return [claimed, Started(at=at + 0.01, job=job, attempt=attempt, token=token, worker=worker)]


def end(
    job: str = "a", attempt: int = 1, at: float = 3, outcome: Any = "complete", accepted: Any = True,
    worker: str = "w1", **fields: Any,
) -> list[Event]:  # fmt: skip
    """Return the end of a handler, and how its attempt was settled."""
    token = f"{job}.{attempt}"
    ended = Ended(at=at - 0.01, job=job, token=token, worker=worker)
    settled = Settled(
        at=at, asked_at=at - 0.01, job=job, outcome=outcome, accepted=accepted, token=token, attempt=attempt,
        worker=worker, **fields,
    )  # fmt: skip
    return [ended, settled]


def waited(job: str, asked_at: float, at: float, worker: str = "w1") -> list[Event]:
    """Return the completion of a job that was on its way for long."""
    settled = Settled(
        at=at, asked_at=asked_at, job=job, outcome="complete", accepted=True, token=f"{job}.1", attempt=1,
        worker=worker,
    )  # fmt: skip
    return [Ended(at=asked_at - 0.01, job=job, token=f"{job}.1", worker=worker), settled]


def final(job: str = "a", status: str | None = "complete", attempt: int = 1, **fields: Any) -> list[Event]:
    """Return the final reading of a job."""
    return [Snapshot(at=100, job=job, status=status, attempt=attempt, **fields)]


def seen(*updates: tuple[int, str], watcher: str = "v", job: str = "a") -> list[Event]:
    """Return what a watcher saw."""
    return [
        Seen(at=2 + n / 100, job=job, watcher=watcher, seq=seq, status=s)
        for n, (seq, s) in enumerate(updates)
    ]


WHOLE = seen((10, "processing"), (20, "complete"))
CLEAN = [*put(), *begin(), *end(results={"n": 1}), *final(results={"n": 1})]
KILL = Fault(at=2.5, fault="kill", target="w1")
AGAIN = [*put(), *begin(), KILL, *begin(attempt=2, at=6, worker="w2"), *end(attempt=2, at=7, worker="w2")]


def without(events: Iterable[Event], *kinds: type[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, kinds)]


def cancelled(at: float = 2.2, attempt: int = 1, **fields: Any) -> list[Event]:
    return [Cancelled(at=at, asked_at=at - 0.01, job="a", accepted=True, attempt=attempt, **fields)]


def retried(at: float) -> list[Event]:
    return [Retried(at=at, asked_at=at - 0.01, job="a", accepted=True)]


def made_again(at: float) -> list[Event]:
    """Return the first attempt of job a as it is made once more, because the store has forgotten it."""
    known = {"job": "a", "attempt": 1, "token": "a.0", "worker": "w2"}
    settled = Settled(at=at + 1, outcome="complete", accepted=True, **known)
    return [Claimed(at=at, **known), Started(at=at + 0.01, **known), settled]


def rolled_back(since: float, at: float) -> Event:
    """Return that the store has forgotten what it was told between two instants."""
    return Fault(at=at, asked_at=since, fault="rollback", target=STORE)


ENDED = Ended(at=2.4, job="a", token="a.1", worker="w1")
"""The first handler of job a is over when its worker is killed, its outcome perhaps stored."""
LATER = [*begin(attempt=2, at=7, worker="w2"), *end(attempt=2, at=8, worker="w2")]
SOON = [*begin(attempt=2, at=2.7, worker="w2"), *end(attempt=2, at=3, worker="w2")]


CLEAN_HISTORIES = {
    "one job": [*CLEAN, *WHOLE, WatchEnded(at=3.1, job="a", watcher="v")],
    "a refused enqueue": [Asked(at=1, op="x", job="x"), Refused(at=1.1, op="x", error="QueueFull")],
    "an enqueue without an answer that ran": without(CLEAN, Acknowledged),
    "an enqueue without an answer that was not stored": [Asked(at=1, op="x", job="x"), *final("x", None)],
    "an id that only the handler tells": [
        Asked(at=1, op="x"), Started(at=2.01, job="a", attempt=1, token="a.1", worker="w1", op="x"),
        *end(), *final(op="x"),
    ],
    "a job that was deleted": [*without(CLEAN, Snapshot), Deleted(at=9, job="a")],
    "a killed worker": [*AGAIN, *final(attempt=2, losses=1)],
    "a store that forgot its last seconds, which happened again": [
        *put(), *begin(), *end(), Fault(at=3.5, asked_at=1.5, fault="rollback", target=STORE),
        *made_again(at=4), *final(),
    ],
    "a store that forgot a completion, but not its claim": [
        *put(), *begin(), *end(at=3.3), rolled_back(3.2, 3.5), *LATER, *final(attempt=2, losses=1),
    ],
    "a store that forgot a completion that had no answer": [
        *put(), *begin(), ENDED, rolled_back(3.2, 3.5),
        Settled(at=3.6, asked_at=3.4, job="a", outcome="complete", accepted=None, token="a.1", worker="w1"),
        *LATER, *final(attempt=2, losses=1),
    ],
    "a store that forgot a renewal": [
        *put(), *begin(), *[Renewed(at=at, job="a", token="a.1") for at in (3, 4)], rolled_back(3.9, 4.1),
        *LATER, *end(accepted=False, at=7.5), *final(attempt=2, losses=1),
    ],
    "a store that forgot a cancellation": [
        *put(), *begin(), *cancelled(at=2.5), *end(accepted=False, at=2.6), rolled_back(2.3, 2.7),
        *LATER, *final(attempt=2, losses=1),
    ],
    "a worker that stood still until it was killed": [
        *put(), *begin(), *LATER, Fault(at=8.5, fault="kill", target="w1"), *final(attempt=2, losses=1),
    ],
    "a worker that stood still from before a cancellation until it was killed": [
        *put(), *begin(), *cancelled(), Fault(at=6, fault="kill", target="w1"), *final(status="cancelled"),
    ],
    "a claim whose answer was late": [
        *put(), *begin(at=4.2, asked_at=2), *begin(attempt=2, at=5.1, worker="w2"),
        *end(accepted=False, at=5.2), *end(attempt=2, at=6, worker="w2"), *final(attempt=2, losses=1),
    ],
    "a worker killed before it heard that its failure was stored": [
        *put(), *begin(), ENDED, KILL, *SOON, *final(attempt=2, failures=1, max_attempts=3),
    ],
    "a worker killed long after its failure was stored, which it never heard": [
        *put(), *begin(), ENDED, *SOON, Fault(at=4, fault="kill", target="w1"),
        *final(attempt=2, failures=1, max_attempts=3),
    ],
    "a worker killed before it heard that it had given a job up": [
        *put(), *begin(), ENDED, KILL,
        *final(status="failed", failures=1, max_attempts=3, error="no"),
    ],
    "a worker killed before it heard that it had given a claim back": [
        *put(), Claimed(at=2, job="a", attempt=1, token="a.1", worker="w1"), KILL, *SOON, *final(attempt=2),
    ],
    "a power cut that took a claim along": [
        *put(), *begin(), KILL, Fault(at=2.6, fault="power", target=STORE),
        *made_again(at=4), *final(),
    ],
    "a store that was emptied, and an id that was used again": [
        *put(), *begin(), *end(), Fault(at=3.5, fault="reset", target=STORE),
        *put(at=5), *made_again(at=6), *final(),
    ],
    "a worker that paused past its lease": [
        *put(), *begin(), Fault(at=2.5, fault="pause", target="w1", until=7),
        *begin(attempt=2, at=6, worker="w2"), *end(attempt=2, at=6.5, worker="w2"),
        *end(accepted=False, at=7.1), *final(attempt=2, losses=1),
    ],
    "an outage": [
        *put(), *begin(), Fault(at=2.5, fault="cut", target=STORE, until=5),
        *begin(attempt=2, at=6, worker="w2"), *end(attempt=2, at=7, worker="w2"),
        *end(accepted=False, at=7.1), *final(attempt=2, losses=1),
    ],
    "a worker whose settling of another job had no answer for long: somebody held the file's lock": [
        *put(), *begin(), *put("b"), *begin("b"), *waited("b", 2.2, 6), *final("b"),
        *begin(attempt=2, at=5.9, worker="w2"), *end(attempt=2, at=6.5, worker="w2"),
        *end(accepted=False, at=6.1), *final(attempt=2, losses=1),
    ],
    "a claim whose answer was crossed by a cancellation, a retry and the next attempt": [
        *put(), *cancelled(at=2.05), *retried(2.1), *begin(attempt=2, at=2.15, worker="w2"),
        *end(attempt=2, at=2.2, worker="w2"), *begin(at=2.3, asked_at=2), *end(at=2.4, accepted=False),
        *final(attempt=2),
    ],
    "renewals": [
        *put(), *begin(), *[Renewed(at=2.0 + n, job="a", token="a.1") for n in range(1, 9)],
        *end(at=11), *final(),
    ],
    "a failure that is retried": [
        *put(), *begin(), *end(outcome="retrying"), *begin(attempt=2, at=4), *end(attempt=2, at=5),
        *final(attempt=2, failures=1, max_attempts=3),
    ],
    "a failure whose answer was lost, settled again after the next claim": [
        *put(), *begin(), Ended(at=3, job="a", token="a.1", worker="w1"),
        *begin(attempt=2, at=4, worker="w2"),
        Settled(at=5, asked_at=4.5, job="a", token="a.1", attempt=1, outcome="retrying", accepted=True),
        *end(attempt=2, at=6, worker="w2"), *final(attempt=2, failures=1, max_attempts=3),
    ],
    "a release": [
        *put(), *begin(), *end(outcome="released"), *begin(attempt=2, at=4), *end(attempt=2, at=5),
        *final(attempt=2),
    ],
    "a cancellation": [
        *put(), *begin(), *cancelled(), *end(accepted=False), *final(status="cancelled"),
        *seen((10, "processing"), (20, "cancelled")),
    ],
    "a cancellation whose handler is killed before it is late": [
        *put(), *begin(), *cancelled(), Fault(at=3.3, fault="kill", target="w1"), *final(status="cancelled"),
    ],
    "a cancellation that crosses a claim's answer": [
        *put(), *begin(), *cancelled(at=2.005), *end(accepted=False, at=2.9), *final(status="cancelled"),
    ],
    "a retry by hand": [
        *put(), *begin(), *end(outcome="failed", final=True), *retried(4), *begin(attempt=2, at=5),
        *end(attempt=2, at=6), *final(attempt=2),
        *seen((10, "processing"), (20, "failed"), (30, "pending"), (40, "processing"), (50, "complete")),
    ],
    "a failed job whose retry had no answer": [
        *put(), *begin(), *end(outcome="failed", final=True),
        Retried(at=9, asked_at=4, job="a", accepted=None),
        *begin(attempt=2, at=5), *end(attempt=2, at=6), *final(attempt=2),
    ],
    "a cancelled job whose retry had no answer and was made after a reading": [
        *put(), *cancelled(at=2, attempt=0), Retried(at=4, asked_at=3, job="a", accepted=None),
        Read(at=4.2, asked_at=4.1, job="a", status="cancelled"),
        *begin(at=5), *end(at=6), *final(),
    ],
    "all attempts failed": [
        *put(), *begin(), *end(outcome="failed"),
        *final(status="failed", failures=1, max_attempts=1, error="boom"),
    ],
    "a poisonous job": [
        *put(), *begin(), KILL, *begin(attempt=2, at=6, worker="w2"), Fault(at=7, fault="kill", target="w2"),
        *final(status="failed", attempt=2, losses=2, max_lost=2, error="lease lost 2 times"),
    ],
    "a store that forgot": [
        *put(), Fault(at=1.5, fault="rollback", target=STORE), *final(status=None),
    ],
    "a delayed job": [
        *put(not_before_ms=5000), *begin(claimed_ms=5000, run_ms=5000), *end(), *final(),
    ],
    "a unique key held by one after the other": [
        *put(), *begin(), *end(), *final(job_type="t", unique_key="k", created_ms=1, completed_ms=5),
        *put("b", at=4), *begin("b", at=5), *end("b", at=6),
        *final("b", job_type="t", unique_key="k", created_ms=5, completed_ms=9),
    ],
    "a unique key and a clock that was ahead": [
        *put(), *begin(), *end(), *final(job_type="t", unique_key="k", created_ms=1, completed_ms=9000),
        Fault(at=1.8, fault="clock", target=STORE, until=2.5),
        *put("b", at=4), *begin("b", at=5), *end("b", at=6),
        *final("b", job_type="t", unique_key="k", created_ms=5, completed_ms=9),
    ],
    "an enqueue sent twice under one key": [
        Asked(at=0.5, op="op-a", job="a", key="k"), *put(key="k"),
        *begin(), *end(), *final(),
    ],
    "a drained backlog": [*CLEAN, FaultsEnded(at=10), Drained(at=25)],
    "a worker that paused between the check of its lease and the start": [
        *put(), Claimed(at=2, job="a", attempt=1, token="a.1", worker="w1"),
        Fault(at=2.1, fault="pause", target="w1", until=5.5),
        Started(at=5.6, job="a", attempt=1, token="a.1", worker="w1"), *end(at=5.7), *final(),
    ],
    "a waiting job that was replaced by one that may fail less often": [
        *put(), *begin(), *end(outcome="retrying"), Asked(at=3.1, op="x", job="x"),
        Acknowledged(at=3.2, asked_at=3.1, op="x", job="a", created=False),
        *begin(attempt=2, at=4), *end(attempt=2, at=5, outcome="failed"),
        *final(status="failed", attempt=2, failures=2, max_attempts=1, op="x"),
    ],
    "a watched job that was removed": [
        *CLEAN, *seen((10, "processing")), Deleted(at=9, job="a"), WatchEnded(at=9.1, job="a", watcher="v"),
    ],
    "trimmed updates": [
        *CLEAN, *WHOLE, *seen((10, "processing"), watcher="u"),
        Seen(at=3, job="a", watcher="u", seq=20, status="complete", gap=True),
    ],
}  # fmt: skip


@pytest.mark.parametrize("history", CLEAN_HISTORIES.values(), ids=CLEAN_HISTORIES.keys())
def test_a_clean_history_passes(history):
    report = check([RUN, *history])

    assert report.ok, str(report)


BROKEN_HISTORIES = {
    "I1: a job is unknown in the end": ("I1", [*without(CLEAN, Snapshot), *final(status=None)]),
    "I1: nobody could read it": ("I1", without(CLEAN, Snapshot)),
    "I1: it never ended": ("I1", [*put(), *final(status="pending", attempt=0)]),
    "I1: it hangs": ("I1", [*put(), *begin(), *final(status="processing")]),
    "I2: nobody enqueued what ran": ("I2", without(CLEAN, Asked, Acknowledged)),
    "I2: nobody enqueued what is stored": ("I2", final("ghost", "pending", 0)),
    "I3: a later reading differs": (
        "I3",
        [*CLEAN, Read(at=4, job="a", status="complete"), Read(at=5, job="a", status="pending")],
    ),
    "I3: the final reading differs from the accepted end": ("I3", [*CLEAN[:-1], *final(status="failed")]),
    "I3: a reading that began after a cancellation differs": (
        "I3",
        [*put(), *cancelled(attempt=0), Read(at=4, job="a", status="complete"),
         *final(status="cancelled", attempt=0)],
    ),
    "I3: a complete job was retried": (
        "I3",
        [*CLEAN, *retried(4), Read(at=5, asked_at=4.9, job="a", status="pending")],
    ),
    "I3: a retry was refused, and the job changed nevertheless": (
        "I3",
        [*put(), *cancelled(at=2, attempt=0), Retried(at=4, asked_at=3, job="a", accepted=False),
         Read(at=4.2, asked_at=4.1, job="a", status="cancelled"), *begin(at=5), *end(at=6), *final()],
    ),
    "I3: an update follows the terminal one": (
        "I3",
        [*CLEAN, *seen((10, "processing"), (20, "complete"), (30, "processing"), (40, "complete"))],
    ),
    "I4: a claim after the completion": (
        "I4",
        [*CLEAN, Fault(at=2.9, fault="kill", target="w1"), *begin(attempt=2, at=7, worker="w2")],
    ),
    "I4: an older claim starts after the completion": (
        "I4",
        [
            *without(AGAIN, Started, Fault), *final(attempt=2, losses=1),
            Started(at=6.1, job="a", attempt=2, token="a.2", worker="w2"),
            Started(at=8, job="a", attempt=1, token="a.1", worker="w1"),
        ],
    ),
    "I4: a claim whose answer was crossed by a cancellation, and that starts long afterwards": (
        "I4",
        [
            *put(), *cancelled(at=2.05), *retried(2.1), *begin(attempt=2, at=2.15, worker="w2"),
            *end(attempt=2, at=2.2, worker="w2"),
            Claimed(at=2.3, asked_at=2, job="a", attempt=1, token="a.1", worker="w1"),
            Started(at=3.4, job="a", attempt=1, token="a.1", worker="w1"), *end(at=3.5, accepted=False),
            *final(attempt=2),
        ],
    ),
    "I4: a handler starts on a lease that ran out": (
        "I4",
        [
            *put(), Claimed(at=2, job="a", attempt=1, token="a.1", worker="w1"),
            Started(at=2.1 + LEASE, job="a", attempt=1, token="a.1", worker="w1"), *end(at=6), *final(),
        ],
    ),
    "I5: two completions": (
        "I5",
        [*AGAIN, *end(at=8), *final(attempt=2, losses=1)],
    ),
    "I5: a completion and a cancellation": ("I5", [*CLEAN, *cancelled(at=3.1)]),
    "I6: a token for two attempts": (
        "I6",
        [*AGAIN, Claimed(at=6.1, job="a", attempt=2, token="a.1", worker="w2"), *final(attempt=2, losses=1)],
    ),
    "I6: a token for two jobs": (
        "I6",
        [*CLEAN, *put("b"), Claimed(at=2, job="b", attempt=1, token="a.1", worker="w1"), *final("b")],
    ),
    "I6: an attempt for two workers": (
        "I6",
        [*CLEAN, Claimed(at=2.1, job="a", attempt=1, token="other", worker="w2")],
    ),
    "I6: a stale completion is accepted": (
        "I6",
        [*without(AGAIN, Settled), *end(at=8), *final(attempt=2, losses=1)],
    ),
    "I6: a stale heartbeat is accepted": (
        "I6",
        [*AGAIN, Renewed(at=6.5, job="a", token="a.1"), *final(attempt=2, losses=1)],
    ),
    "I6: a claim while the lease runs": (
        "I6",
        [*put(), *begin(), KILL, *begin(attempt=2, at=4.9, worker="w2"), *end(attempt=2, at=6, worker="w2"),
         *final(attempt=2, losses=1)],
    ),
    "I6: a claim while the lease of a killed worker runs that had settled before": (
        "I6",
        [*put(), *begin(), *end(at=2.4, accepted=False), KILL,
         *begin(attempt=2, at=2.3, worker="w2"), *end(attempt=2, at=3, worker="w2"), *final(attempt=2)],
    ),
    "I6: a claim before the handler of a worker had ended that was killed later": (
        "I6",
        [*put(), *begin(), *begin(attempt=2, at=2.3, worker="w2"), ENDED, KILL,
         *end(attempt=2, at=3, worker="w2"), *final(attempt=2, failures=1, max_attempts=3)],
    ),
    "I6: a claim while the renewed lease runs": (
        "I6",
        [*AGAIN, Renewed(at=4, job="a", token="a.1"), *final(attempt=2, losses=1)],
    ),
    "I7: a second start of no cause": ("I7", [*without(AGAIN, Fault), *final(attempt=2, losses=1)]),
    "I7: a second start under one claim": (
        "I7",
        [*CLEAN, Started(at=2.5, job="a", attempt=1, token="a.1", worker="w1")],
    ),
    "I7: the fault was another worker's": (
        "I7",
        [*without(AGAIN, Fault), Fault(at=2.5, fault="kill", target="w3"), *final(attempt=2, losses=1)],
    ),
    "I7: the fault was too short": (
        "I7",
        [*without(AGAIN, Fault), Fault(at=2.5, fault="cut", target="w1", until=3.4),
         *final(attempt=2, losses=1)],
    ),
    "I7: a worker that went on with something else until it was killed": (
        "I7",
        [*put(), *begin(), *put("b"), *begin("b", at=6.9), *end("b", at=6.95), *final("b"), *LATER,
         Fault(at=7.1, fault="kill", target="w1"), *final(attempt=2, losses=1)],
    ),
    "I7: a claim whose answer was a little late": (
        "I7",
        [*put(), *begin(at=2.8, asked_at=2), *begin(attempt=2, at=5.9, worker="w2"),
         *end(attempt=2, at=6, worker="w2"), *final(attempt=2, losses=1)],
    ),
    "I7: a settling call of the worker that was a little late": (
        "I7",
        [*put(), *begin(), *put("b"), *begin("b"), *waited("b", 2.2, 3.1), *final("b"), *LATER,
         *final(attempt=2, losses=1)],
    ),
    "I7: a settling call of another worker that was late": (
        "I7",
        [*put(), *begin(), *put("b"), *begin("b", worker="w3"), *waited("b", 2.2, 6, worker="w3"),
         *final("b"), *LATER, *final(attempt=2, losses=1)],
    ),
    "I7: the store forgot nothing of the completion": (
        "I7", [*put(), *begin(), *end(at=3), rolled_back(3.2, 3.5), *LATER, *final(attempt=2, losses=1)],
    ),
    "I7: the store forgot nothing of the renewals": (
        "I7",
        [*put(), *begin(), *[Renewed(at=at, job="a", token="a.1") for at in (3, 4)], rolled_back(4.1, 4.3),
         *begin(attempt=2, at=7.1, worker="w2"), *end(attempt=2, at=8, worker="w2"),
         *final(attempt=2, losses=1)],
    ),
    "I7: the store forgot only afterwards": (
        "I7", [*put(), *begin(), *LATER, *end(at=8.4, accepted=False), rolled_back(8.3, 8.5),
               *final(attempt=2, losses=1)],
    ),
    "I7: the store forgot what was refused": (
        "I7",
        [*put(), *begin(), *end(at=3.3, accepted=False), rolled_back(3.2, 3.5), *LATER,
         *final(attempt=2, losses=1)],
    ),
    "I7: the store forgot the completion of another claim": (
        "I7",
        [*put(), *begin(), Settled(at=3.3, job="a", outcome="complete", accepted=True, token="a.0"),
         rolled_back(3.2, 3.5), *LATER, *final(attempt=2, losses=1)],
    ),
    "I7: two faults at once that are too short": (
        "I7",
        [*without(AGAIN, Fault), *[Fault(at=2.5, fault="cut", target="w1", until=3.2)] * 2,
         *final(attempt=2, losses=1)],
    ),
    "I7: the fault came afterwards": (
        "I7",
        [*without(AGAIN, Fault), *put("b"), *begin("b", at=5.9), *end("b", at=6.9), *final("b"),
         Fault(at=7, fault="kill", target="w1"), *final(attempt=2, losses=1)],
    ),
    "I8: one key, two jobs": (
        "I8",
        [*put(key="k"), *begin(), *end(), *final(), *put("b", key="k"), *begin("b"), *end("b"), *final("b")],
    ),
    "I8: the first answer was lost, and the second made another job": (
        "I8",
        [
            Asked(at=1, op="x", key="k"), Asked(at=2, op="x", key="k"), Acknowledged(at=2.1, op="x", job="b"),
            *begin("b", at=3), *end("b", at=4), *final("b"),
            Claimed(at=3, job="c", attempt=1, token="c.1", worker="w1"),
            Started(at=3, job="c", attempt=1, token="c.1", worker="w1", op="x"), *end("c", at=4), *final("c"),
        ],
    ),
    "I1: a job lost that was older than what the store forgot": (
        "I1",
        [*put(), Fault(at=5, asked_at=4.5, fault="rollback", target=STORE), *final(status=None)],
    ),
    "I1: a job lost with the power": (
        "I1",
        [*put(), Fault(at=5, fault="power", target=STORE), *final(status=None)],
    ),
    "I5: a second completion after the power came back": (
        "I5",
        [*put(), *begin(), *end(), Fault(at=3.5, fault="power", target=STORE),
         *begin(attempt=2, at=4, worker="w2"), *end(attempt=2, at=5, worker="w2"), *final(attempt=2)],
    ),
    "I8: two live jobs of one unique key": (
        "I8",
        [*CLEAN, *put("b"), *begin("b"), *end("b"),
         *final(job_type="t", unique_key="k", created_ms=1, completed_ms=9, results={"n": 1}),
         *final("b", job_type="t", unique_key="k", created_ms=5, completed_ms=7)],
    ),
    "I8: two live jobs of one unique key, whatever the clock says": (
        "I8",
        [*CLEAN, *put("b"), *begin("b", at=3), *end("b", at=4),
         Fault(at=0.5, fault="clock", target=STORE, until=0.6),
         *final(job_type="t", unique_key="k", created_ms=1, completed_ms=4, results={"n": 1}),
         *final("b", job_type="t", unique_key="k", created_ms=5, completed_ms=7)],
    ),
    "I9: a claim after the cancellation": (
        "I9",
        [*put(), *cancelled(attempt=0), *begin(at=3), *end(accepted=False, at=3.5),
         *final(status="cancelled")],
    ),
    "I9: a handler that was never told": (
        "I9",
        [*put(), *begin(), *cancelled(), *end(accepted=False, at=9), *final(status="cancelled")],
    ),
    "I9: a handler that was never told, though its worker went on until it was killed": (
        "I9",
        [*put(), *begin(), *cancelled(), *put("b"), *begin("b", at=4), *end("b", at=5), *final("b"),
         Fault(at=6, fault="kill", target="w1"), *final(status="cancelled")],
    ),
    "I10: more failures than allowed": (
        "I10",
        [*CLEAN[:-1], *final(results={"n": 1}, failures=3, max_attempts=2)],
    ),
    "I10: given up too early": (
        "I10",
        [*put(), *begin(), *end(outcome="failed"),
         *final(status="failed", failures=1, max_attempts=3, error="boom")],
    ),
    "I10: more losses than allowed": (
        "I10",
        [*AGAIN, *final(attempt=2, losses=4, max_lost=3)],
    ),
    "I10: given up after too few losses": (
        "I10",
        [*put(), *begin(), KILL,
         *final(status="failed", losses=1, max_lost=3, error="lease lost 1 times")],
    ),
    "I10: given up too early, and its worker was killed before its handler had ended": (
        "I10",
        [*put(), *begin(), KILL, *final(status="failed", failures=1, max_attempts=3, error="no")],
    ),
    "I10: the loss of a killed worker's lease was not counted": ("I10", [*AGAIN, *final(attempt=2)]),
    "I10: a loss that was not counted": ("I10", [*AGAIN[:-2], *end(attempt=2, at=7, worker="w2"),
         *begin(attempt=3, at=5.5, worker="w3"), *final(attempt=3, losses=0)]),
    "I11: claimed before its time": ("I11", [*put(), *begin(claimed_ms=4999, run_ms=5000), *end(), *final()]),
    "I11: claimed before the time that was asked for": (
        "I11",
        [*put(not_before_ms=5000), *begin(claimed_ms=4999), *end(), *final()],
    ),
    "results: another result": ("results", [*CLEAN[:-1], *final(results={"n": 2})]),
    "results: no result": ("results", [*CLEAN[:-1], *final()]),
    "updates: one twice": (
        "updates",
        [*CLEAN, *seen((10, "processing"), (10, "processing"), (20, "complete"))],
    ),
    "updates: out of order": (
        "updates",
        [*CLEAN, *seen((15, "processing"), (10, "pending"), (20, "complete"))],
    ),
    "updates: one left out": (
        "updates",
        [*CLEAN, *seen((5, "processing"), (10, "processing"), (20, "complete")),
         *seen((5, "processing"), (20, "complete"), watcher="u")],
    ),
    "updates: one left out that is kept": (
        "updates",
        [*CLEAN[:-1], *seen((5, "processing"), (20, "complete")),
         *final(results={"n": 1}, updates=((5, "status", "processing"), (10, "log", "processing")))],
    ),
    "updates: two that disagree": (
        "updates",
        [*CLEAN, *WHOLE, *seen((10, "pending"), (20, "complete"), watcher="u")],
    ),
    "updates: a stream that ends before the job": (
        "updates",
        [*CLEAN, *WHOLE[:1], WatchEnded(at=3.1, job="a", watcher="v")],
    ),
    "L1: it never drained": ("L1", [*CLEAN, FaultsEnded(at=10)]),
    "L1: it drained too slowly": ("L1", [*CLEAN, FaultsEnded(at=10), Drained(at=10 + 2 * LEASE + 10.1)]),
}  # fmt: skip


@pytest.mark.parametrize(("invariant", "history"), BROKEN_HISTORIES.values(), ids=BROKEN_HISTORIES.keys())
def test_a_planted_violation_is_found(invariant, history):
    report = check([RUN, *history])

    assert invariant in report.broken, str(report)


def test_every_invariant_has_a_planted_violation():
    planted = {invariant for invariant, _ in BROKEN_HISTORIES.values()}

    assert planted == {*(f"I{n}" for n in range(1, 12)), "results", "updates", "L1"}
