"""The events of a run, sorted by the jobs that they are about."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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

TERMINAL = frozenset({"complete", "failed", "cancelled"})
ENDS = frozenset({"complete", "failed"})
"""The outcomes of a settlement that end a job."""
RETURNS = frozenset({"retrying", "released"})
"""Those after which it runs again."""
LATE = 0.15
"""Seconds: a worker whose call took longer is said to have been kept from the store."""


@dataclass(slots=True)
class JobHistory:
    """All that was observed of one job, each list in the order of its time."""

    id: str
    asked: list[Asked] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    claims: list[Claimed | Started] = field(default_factory=list)
    """One for each token: what handed it out, or the first start under it."""
    starts: list[Started] = field(default_factory=list)
    renewals: list[Renewed] = field(default_factory=list)
    ends: list[Ended] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    cancels: list[Cancelled] = field(default_factory=list)
    retries: list[Retried] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    """By watcher."""
    watches_ended: list[WatchEnded] = field(default_factory=list)
    deleted: list[Deleted] = field(default_factory=list)
    snapshot: Snapshot | None = None
    repeated_claims: list[Claimed] = field(default_factory=list)
    """Claims that handed out a token once more."""

    @property
    def is_stored(self) -> bool:
        """Tell whether the store knew the job after the run."""
        return self.snapshot is not None and self.snapshot.status is not None

    @property
    def accepted_cancels(self) -> list[Cancelled]:
        """Return the cancellations that were accepted."""
        return [event for event in self.cancels if event.accepted]

    def endings(self) -> list[Settled | Cancelled]:
        """Return what ended the job for certain, each accepted call once, in the order of their time."""
        found: dict[str, Settled | Cancelled] = {}
        for event in self.settled:
            if event.outcome in ENDS and event.accepted:
                found.setdefault(event.token or f"by hand {event.at}", event)
        for cancel in self.accepted_cancels:
            found.setdefault("cancel", cancel)
        return sorted(found.values(), key=lambda event: event.at)

    def possible_retries(self) -> list[Retried]:
        """Return the retries that were accepted, or may have been."""
        return [event for event in self.retries if event.accepted is not False]

    def was_retried_between(self, earlier: Event, later: Event) -> bool:
        """Tell whether a retry may have taken effect after the one event and before the other.

        One without an answer may still be under way when nobody waits for it any more.
        """
        return any(
            (event.accepted is None or event.at >= earlier.since) and event.since <= later.at
            for event in self.possible_retries()
        )

    def settled_since(self, event: Settled) -> float:
        """Return the earliest instant at which a settlement can have been asked for: its handler's end."""
        ended = [end.at for end in self.ends if end.token == event.token]
        return min([event.since, *ended])

    def was_replaced(self) -> bool:
        """Tell whether the job may have taken the content of another enqueue while it waited."""
        return len(self.ops() | {event.op for event in self.acknowledged}) > 1

    def ops(self) -> set[str]:
        """Return the ops that this job was made by, as producers, handlers and the final reading tell it."""
        ops = {event.op for event in self.acknowledged if event.created}
        ops |= {event.op for event in self.starts if event.op is not None}
        if self.snapshot is not None and self.snapshot.op is not None:
            ops.add(self.snapshot.op)
        return ops

    def events(self) -> Iterator[Event]:
        """Yield what tells of the job's changes."""
        yield from (
            *self.acknowledged,
            *self.claims,
            *self.starts,
            *self.settled,
            *self.cancels,
            *self.retries,
        )
        for seen in self.seen.values():
            yield from seen

    def attempt_of(self, event: Settled | Cancelled) -> int | None:
        """Return the attempt that a call ended, as it says itself or by its token."""
        token = event.token if isinstance(event, Settled) else None
        claim = None if token is None else self.claim_of(token)
        return event.attempt if claim is None else claim.attempt

    def claim_of(self, token: str) -> Claimed | Started | None:
        """Return what handed a token out."""
        return next((claim for claim in self.claims if claim.token == token), None)


class History:
    """A run: its jobs, and what was done to all of them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.run: Run | None = None
        self.jobs: dict[str, JobHistory] = {}
        self.asked: dict[str, list[Asked]] = defaultdict(list)
        """By op."""
        self.refused: dict[str, Refused] = {}
        self.faults: list[Fault] = []
        self._faults_of: dict[tuple[str, str], list[Fault]] = defaultdict(list)
        """By kind and target."""
        self._holders: dict[str, str] = {}
        """The worker that each token was handed out to."""
        self._last_words: dict[str, float] = {}
        """When each worker last wrote anything down."""
        self.faults_ended: FaultsEnded | None = None
        self.drained: Drained | None = None
        for event in sorted(events, key=lambda event: event.at):
            self._add(event)
            self._hear(event)

    @property
    def lease(self) -> float:
        """Return the usual length of a lease in seconds."""
        return 30.0 if self.run is None else self.run.lease

    def lease_of(self, claim: Claimed | Started) -> float:
        """Return the length of a claim's lease in seconds."""
        own = claim.lease if isinstance(claim, Claimed) else None
        return self.lease if own is None else own

    def records(self, kind: str) -> bool:
        """Tell whether every event of an optional kind was written down."""
        return self.run is not None and kind in self.run.records

    def acknowledged(self) -> list[Acknowledged]:
        """Return the first acknowledgement of each job, in the order of their time."""
        first = [job.acknowledged[0] for job in self.jobs.values() if job.acknowledged]
        return sorted(first, key=lambda event: event.at)

    def struck(self, worker: str, begin: float, end: float, *faults: str) -> Iterator[Fault]:
        """Yield the faults of these kinds that struck a worker, or the store, at some time in between."""
        for kind in faults:
            for target in dict.fromkeys((worker, STORE)):
                for fault in self._faults_of.get((kind, target), ()):
                    last = fault.at if fault.until is None else fault.until
                    if fault.at <= end and (last >= begin or kind == "kill"):
                        yield fault

    def silence(self, worker: str) -> Iterator[Fault]:
        """Yield a pause from a killed worker's last word to its end: if it stood still, nobody would know."""
        for kill in self._faults_of.get(("kill", worker), ())[:1]:
            yield Fault(at=self._last_words.get(worker, kill.at), fault="pause", target=worker, until=kill.at)

    def forgot(self, event: Event, before: float = math.inf, *, is_promised: bool = True) -> bool:
        """Tell whether the store may have forgotten what an event tells of, before an instant.

        ``is_promised``: it is of a kind that is promised to last.
        """
        kinds = ("reset", "rollback") if is_promised else ("reset", "rollback", "power")
        return any(
            event.since <= fault.at <= before and (fault.asked_at is None or event.at >= fault.asked_at)
            for kind in kinds
            for fault in self._faults_of.get((kind, STORE), ())
        )

    def is_of_two_lives(self, one: Event, other: Event) -> bool:
        """Tell whether the store may have forgotten the one when the other happened, whichever was first.

        An attempt that was forgotten is made again, under the same number.
        """
        first, last = sorted((one, other), key=lambda event: event.at)
        return self.forgot(first, last.at, is_promised=False)

    def forgot_hold(self, job: JobHistory, claim: Claimed | Started, before: float) -> bool:
        """Tell whether the store may have forgotten, before an instant, what kept or ended a claim's lease.

        Then the claim lives again without anybody who would renew it: its worker has settled it, or has been
        told that it was cancelled. Or its lease is as long as it was before a renewal that was forgotten.
        """
        ended = [event for event in job.settled if event.token in {claim.token, None}]
        calls: list[Settled | Cancelled] = [*ended, *job.cancels]
        renewals = [event for event in job.renewals if event.token == claim.token]
        return any(
            event.accepted is not False and event.at >= claim.since and self.forgot(event, before)
            for event in calls
        ) or any(self.forgot(event, before, is_promised=False) for event in renewals)

    def died_settling(self, job: JobHistory, claim: Claimed | Started, before: float = math.inf) -> bool:
        """Tell whether a claim's worker may have settled it, before an instant, and was killed unheard.

        That is so when its handler had ended by then, or never began, and nothing of an outcome was written
        down until the worker was killed, whenever that was.
        """
        if any(event.token == claim.token for event in job.settled):
            return False
        ended = {end.token for end in job.ends if end.at <= before}
        is_open = self.records("ended") and claim.token in {start.token for start in job.starts} - ended
        return not is_open and any(self.struck(claim.worker, claim.since, math.inf, "kill"))

    def forgot_some(self, job: JobHistory) -> bool:
        """Tell whether the store may have forgotten anything of what was observed of a job."""
        return any(self.forgot(event, is_promised=False) for event in job.events())

    def _begin_anew(self) -> None:
        """Keep the jobs that are gone apart from those that will have the same ids."""
        number = len(self._faults_of["reset", STORE])
        self.jobs = {
            name if " before " in name else f"{name} before reset {number}": job
            for name, job in self.jobs.items()
        }

    def _job(self, job_id: str) -> JobHistory:
        job = self.jobs.get(job_id)
        if job is None:
            job = self.jobs[job_id] = JobHistory(job_id)
        return job

    def _hear(self, event: Event) -> None:
        """Note which worker has written something down."""
        match event:
            case Claimed(token=token, worker=who) | Started(token=token, worker=who):
                self._holders[token] = self._last_word(who, event)
            case Ended(worker=who) | Settled(worker=str(who)):
                self._last_word(who, event)
            case Renewed(token=token) if token in self._holders:
                self._last_word(self._holders[token], event)

    def _last_word(self, worker: str, event: Event) -> str:
        self._last_words[worker] = event.at
        return worker

    def _add(self, event: Event) -> None:  # noqa: C901, PLR0912 - one short case for each kind of event
        match event:
            case Run():
                self.run = event
            case Asked():
                self.asked[event.op].append(event)
                if event.job is not None:
                    self._job(event.job).asked.append(event)
            case Acknowledged():
                self._job(event.job).acknowledged.append(event)
            case Refused():
                self.refused[event.op] = event
            case Claimed():
                _add_claim(self._job(event.job), event)
            case Started():
                job = self._job(event.job)
                job.starts.append(event)
                if job.claim_of(event.token) is None:
                    job.claims.append(event)
            case Renewed():
                self._job(event.job).renewals.append(event)
            case Ended():
                self._job(event.job).ends.append(event)
            case Settled():
                self._job(event.job).settled.append(event)
                self._wait(event)
            case Cancelled():
                self._job(event.job).cancels.append(event)
            case Retried():
                self._job(event.job).retries.append(event)
            case Deleted():
                self._job(event.job).deleted.append(event)
            case Read():
                self._job(event.job).reads.append(event)
            case Seen():
                self._job(event.job).seen[event.watcher].append(event)
            case WatchEnded():
                self._job(event.job).watches_ended.append(event)
            case Snapshot():
                self._job(event.job).snapshot = event
            case Fault():
                self.faults.append(event)
                self._faults_of[event.fault, event.target].append(event)
                if event.fault == "reset":
                    self._begin_anew()
            case FaultsEnded():
                self.faults_ended = event
            case Drained():
                self.drained = event

    def _wait(self, event: Settled) -> None:
        """Note that a worker was kept from the store while a settling call of its own was on its way.

        Nobody else may know: a process that stands still with the lock of the file keeps all others waiting.
        """
        if event.worker is not None and event.at - event.since > LATE:
            fault = Fault(at=event.since, fault="cut", target=event.worker, until=event.at)
            self._faults_of["cut", event.worker].append(fault)


def _add_claim(job: JobHistory, claim: Claimed) -> None:
    """Keep a claim; it takes the place of the start under it, if that was written down before."""
    for index, known in enumerate(job.claims):
        if known.token == claim.token:
            if isinstance(known, Claimed):
                job.repeated_claims.append(claim)
            else:
                job.claims[index] = claim
            return
    job.claims.append(claim)
