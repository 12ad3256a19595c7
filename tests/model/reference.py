"""A queue in plain lists and dictionaries, written from the specification alone and for nothing but clarity.

It looks through every job for every question, so that there is no index, heap or cache to be wrong. Instants
and durations are milliseconds. Calls answer as the library's do; an error is ``Refused`` with its name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from jdobb_async_queue import NewJob, RetryPolicy

WEIGHTS = {"low": 1, "normal": 5, "high": 10}
LIVE = ("pending", "processing")
TERMINAL = ("complete", "failed", "cancelled")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ERRORS_KEPT = 20

Settings = dict[str, Any]


class Refused(Exception):  # noqa: N818 - reads as the fact that it states
    """The call is refused with the error of this name."""


def settings_of(retry: RetryPolicy | None, **others: Any) -> Settings:
    """Return the settings that were given; those that were not are left to the layer below."""
    policy = {} if retry is None else retry.model_dump(exclude_unset=True)
    return policy | {name: value for name, value in others.items() if value is not None}


def millis(seconds: float | None) -> int | None:
    """Return seconds as milliseconds."""
    return None if seconds is None else round(seconds * 1000)


@dataclass
class Job:
    """One job; ``place`` is its number in the order of enqueueing."""

    id: str
    job_type: str
    place: int
    created: int
    updated: int = 0
    data: Any = None
    metadata: Any = None
    priority: str = "normal"
    run_at: int = 0
    ttl: int | None = None
    start_by: int | None = None
    """Until when the first attempt must have started."""
    own: Settings = field(default_factory=dict)
    unique_key: str | None = None
    unique_until: str = "finished"
    holds_key: bool = False

    status: str = "pending"
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    progress: float = 0.0
    message: str | None = None
    results: Any = None
    error: str | None = None
    errors: tuple[Any, ...] = ()
    """Attempt, type, message and instant of each."""
    started: int | None = None
    completed: int | None = None
    worker: str | None = None
    prune_at: int | None = None

    token: str | None = None
    lease: int = 0
    lease_ends: int = 0
    settled: tuple[str, str] | None = None
    """The call that ended the last lease, and its token."""

    changes: int = 0
    """How often something changed that a reading shows."""
    log: tuple[Any, ...] = ()
    """All updates ever published: kind, status, attempt, progress, message, error, results, instant."""


@dataclass(frozen=True)
class Lease:
    """A claim that was answered once; whether it still holds is another question."""

    job_id: str
    token: str
    length: int


@dataclass
class Options:
    """What a queue was built with."""

    default_ttl: int | None
    max_pending: int | None
    retention: dict[str, int | None]
    updates_kept: int


class Model:
    """All that a queue knows."""

    def __init__(self, now: int, options: Options) -> None:
        self.now, self.options = now, options
        self.jobs: dict[str, Job] = {}
        self.operator: dict[str, Settings] = {}
        self.published: dict[str, Settings] = {}
        self.pauses: dict[str, tuple[int | None, str | None]] = {}
        self.keys: dict[str, tuple[NewJob, str, int]] = {}
        self.workers: dict[str, dict[str, Any]] = {}
        self.leases: list[Lease] = []
        self.ids: list[str] = []
        """Of all jobs that there ever were."""
        self.enqueued = 0
        self.minutes: dict[tuple[int, str], Counter[str]] = {}
        self.failed: dict[tuple[int, str, str], tuple[int, int]] = {}
        """How many failures there were, and when the last was, by hour, job type and error type."""

    def copy(self) -> Model:
        """Return a model of the same state that goes its own way."""
        other = Model(self.now, self.options)
        for name, value in vars(self).items():
            setattr(other, name, value.copy() if isinstance(value, (dict, list)) else value)
        other.jobs = {job_id: replace(job) for job_id, job in self.jobs.items()}
        other.minutes = {key: figures.copy() for key, figures in self.minutes.items()}
        return other

    # -- putting in ------------------------------------------------------------------------------------

    def submit(
        self, batch: list[NewJob], ids: list[str], key: str | None = None, keep: int = DAY
    ) -> list[tuple[str, bool, bool]]:
        """Store jobs, all or none; answer with id, created and replayed of each.

        ``ids`` are the jobs' own, or those that were made for them.
        """
        if key is not None and key in self.keys and self.keys[key][2] > self.now:
            body, job_id, _ = self.keys[key]
            if [body] != batch:
                raise Refused("IdempotencyKeyReused")
            if job_id not in self.jobs:
                raise Refused("JobGone")
            return [(job_id, False, True)]
        before = self.copy()
        try:
            answers = [(*self._submit_one(*each), False) for each in zip(batch, ids, strict=True)]
        except Refused:
            vars(self).update(vars(before))
            raise
        if key is not None:
            self.keys[key] = (batch[0], answers[0][0], self.now + keep)
        return answers

    def _submit_one(self, new: NewJob, job_id: str) -> tuple[str, bool]:
        known = self.jobs.get(job_id)
        if known is not None:
            if (known.job_type, known.data) != (new.job_type, new.data):
                raise Refused("JobExists")
            return known.id, False
        holder = self._holder(new.job_type, new.unique_key)
        if holder is not None:
            if new.on_conflict == "reject":
                raise Refused("DuplicateJob")
            if new.on_conflict == "replace" and holder.status == "pending":
                self._fill(holder, new)
                holder.progress, holder.message = 0.0, None
                holder.updated = self.now
                holder.changes += 1
            return holder.id, False
        most = self._type_setting(new.job_type, "max_pending", self.options.max_pending)
        if (
            most is not None
            and len([job for job in self._of("pending") if job.job_type == new.job_type]) >= most
        ):
            raise Refused("QueueFull")
        self.enqueued += 1
        job = Job(job_id, new.job_type, self.enqueued, created=self.now, updated=self.now)
        self._fill(job, new)
        self.jobs[job_id] = job
        self.ids.append(job_id)
        self._count(job, "enqueued")
        return job_id, True

    def _fill(self, job: Job, new: NewJob) -> None:
        job.data, job.metadata, job.priority = new.data, new.metadata or {}, new.priority.value
        job.run_at = self.now + (millis(new.delay) or 0)
        if new.run_at is not None:
            job.run_at = max(self.now, round(new.run_at.timestamp() * 1000))
        job.ttl = self.options.default_ttl if new.ttl is None else millis(new.ttl)
        job.start_by = None if job.ttl is None else job.run_at + job.ttl
        job.own = settings_of(
            new.retry, max_attempts=new.max_attempts, timeout=new.timeout, max_lost=new.max_lost
        )
        job.unique_key, job.unique_until = new.unique_key, new.unique_until
        job.holds_key = new.unique_key is not None

    # -- taking out ------------------------------------------------------------------------------------

    def claim(
        self, types: list[str] | None, limit: int, lease: int, worker: str | None, tokens: list[str]
    ) -> list[tuple[str, str]]:
        """Start the best ready jobs with these new tokens; answer with ids and tokens."""
        known = {each.token for each in self.leases}
        assert len(set(tokens)) == len(tokens), "a token is given twice in one claim"
        assert known.isdisjoint(tokens), "a token is given a second time"
        self.sweep()
        ready = [
            job
            for job in self._of("pending")
            if job.run_at <= self.now
            and (types is None or job.job_type in types)
            and not self.is_paused(job.job_type)
        ]
        taken = sorted(ready, key=claim_order)[:limit]
        for job, token in zip(taken, tokens, strict=False):
            self._count(job, "started")
            job.status, job.attempt, job.worker, job.started = "processing", job.attempt + 1, worker, self.now
            job.token, job.lease, job.lease_ends = token, lease, self.now + lease
            job.progress, job.message, job.error, job.start_by = 0.0, None, None, None
            job.holds_key = job.holds_key and job.unique_until == "finished"
            self._changed(job)
            self.leases.append(Lease(job.id, token, lease))
        padded = tokens + ["not claimed"] * (len(taken) - len(tokens))
        return [(job.id, token) for job, token in zip(taken, padded, strict=False)]

    def heartbeat(self, lease: Lease) -> tuple[str, int]:
        """Renew a lease; answer with its state and the milliseconds that it has."""
        job = self.jobs.get(lease.job_id)
        if job is not None and job.token == lease.token:
            job.lease_ends = self.now + job.lease
        return self.look(lease)

    def look(self, lease: Lease) -> tuple[str, int]:
        """Answer as a heartbeat does, and renew nothing."""
        job = self.jobs.get(lease.job_id)
        if job is not None and job.token == lease.token:
            return "ok", max(0, job.lease_ends - self.now)
        is_cancelled = (
            job is not None and job.status == "cancelled" and job.settled == ("cancel", lease.token)
        )
        return "cancelled" if is_cancelled else "lost", 0

    def update(self, job_id: str, token: str | None, progress: float | None, message: str | None) -> str:
        refusal = self._refusal(job_id, token, LIVE)
        if refusal:
            return refusal
        job = self.jobs[job_id]
        if token is not None:
            job.lease_ends = self.now + job.lease
        progress = max(job.progress, progress or 0.0)
        message = job.message if message is None else message
        if (progress, message) != (job.progress, job.message):
            job.progress, job.message = progress, message
            self._changed(job, "progress")
        return "ok"

    def complete(self, job_id: str, token: str | None, results: Any) -> str:
        refusal = self._refusal(job_id, token, LIVE, "complete")
        if refusal:
            return refusal
        job = self.jobs[job_id]
        self._end(job, "complete", None, "complete", token)
        job.results, job.progress = results, 1.0
        self._changed(job)
        return "ok"

    def fail(
        self, job_id: str, token: str | None, error: str, kind: str, retry: bool | None, retry_in: int | None
    ) -> str:
        refusal = self._refusal(job_id, token, LIVE, "fail")
        if refusal:
            return refusal
        job = self.jobs[job_id]
        job.failures += 1
        self._note(job, kind, error)
        gives_up = retry is None and retry_in is None and kind in self.setting(job, "give_up_on", ())
        if retry is False or gives_up or job.failures >= self.setting(job, "max_attempts", 1):
            self._end(job, "failed", error, "fail", token)
        else:
            self._count(job, "retried")
            self._put_back(
                job, self.now + (self._backoff(job) if retry_in is None else retry_in), "fail", token
            )
        self._changed(job, error=error)
        return "ok"

    def _backoff(self, job: Job) -> int:
        base, factor, cap = (
            self.setting(job, name, default)
            for name, default in (("base", 1.0), ("factor", 2.0), ("cap", 3600.0))
        )
        return round(1000 * min(cap, base * factor ** (job.failures - 1)))

    def release(self, job_id: str, token: str, delay: int | None) -> str:
        refusal = self._refusal(job_id, token, ("processing",), "release")
        if refusal:
            return refusal
        job = self.jobs[job_id]
        self._put_back(job, job.run_at if delay is None else self.now + delay, "release", token)
        self._changed(job)
        return "ok"

    # -- operating -------------------------------------------------------------------------------------

    def cancel(self, job_id: str, reason: str | None) -> str:
        refusal = self._refusal(job_id, None, LIVE)
        if refusal:
            return refusal
        job = self.jobs[job_id]
        self._end(job, "cancelled", reason, "cancel", job.token)
        self._changed(job)
        return "ok"

    def retry(self, job_id: str) -> str:
        refusal = self._refusal(job_id, None, ("failed", "cancelled"))
        if refusal:
            return refusal
        job = self.jobs[job_id]
        if self._holder(job.job_type, job.unique_key) is not None:
            return "conflict"
        job.status, job.run_at = "pending", self.now
        job.failures = job.losses = 0
        job.progress, job.message, job.results, job.error = 0.0, None, None, None
        job.completed = job.prune_at = None
        job.start_by = None if job.ttl is None else self.now + job.ttl
        job.holds_key = job.unique_key is not None
        self._changed(job)
        return "ok"

    def delete(self, job_id: str) -> str:
        refusal = self._refusal(job_id, None, TERMINAL)
        if not refusal:
            del self.jobs[job_id]
        return refusal or "ok"

    def send(self, job_id: str, progress: float | None, message: str | None, data: Any) -> bool:
        job = self.jobs.get(job_id)
        if job is None or job.status not in LIVE:
            return False
        self._publish(job, "custom", progress=progress, message=message, results=data)
        return True

    def write_log(self, job_id: str, token: str, text: str) -> str:
        refusal = self._refusal(job_id, token, ("processing",))
        if not refusal:
            self._publish(self.jobs[job_id], "log", message=text)
        return refusal or "ok"

    def is_paused(self, job_type: str) -> bool:
        """Tell whether claims of a type are stopped now."""
        until, _ = self.pauses.get(job_type, (0, None))
        return until is None or until > self.now

    # -- what time does --------------------------------------------------------------------------------

    def sweep(self) -> tuple[int, int]:
        """Rescue what lost its lease and expire what did not start in time; answer with how many."""
        late = [job for job in self._of("processing") if job.lease_ends <= self.now]
        for job in late:
            job.losses += 1
            self._note(job, "LeaseLost", None)
            if job.losses >= self.setting(job, "max_lost", 3):
                self._end(job, "failed", f"lease lost {job.losses} times")
            else:
                self._count(job, "retried")
                self._put_back(job, job.run_at)
            self._changed(job)
        expired = [
            job for job in self._of("pending") if job.start_by is not None and job.start_by <= self.now
        ]
        for job in expired:
            self._end(job, "failed", "expired")
            self._tally(job, "Expired")
            self._changed(job)
        return len(late), len(expired)

    def prune(self) -> int:
        """Remove what has been kept long enough; answer with how many jobs went."""
        gone = [job for job in self.jobs.values() if job.prune_at is not None and job.prune_at <= self.now]
        for job in gone:
            del self.jobs[job.id]
        for worker_id in self.silent_workers():
            del self.workers[worker_id]
        return len(gone)

    def next_due(self, types: list[str] | None) -> int | None:
        """Answer with the instant at which to claim again, after a claim that found nothing."""
        due: list[int | None] = [job.lease_ends for job in self._of("processing")]
        due += [job.start_by for job in self._of("pending")]
        for job_type in {job.job_type for job in self._of("pending")} if types is None else types:
            if self.is_paused(job_type):
                due.append(self.pauses[job_type][0])
            else:
                due += [job.run_at for job in self._of("pending") if job.job_type == job_type]
        return min((at for at in due if at is not None), default=None)

    def instants(self) -> set[int]:
        """Return the instants at which something may become due."""
        of_jobs = (
            each
            for job in self.jobs.values()
            for each in (job.run_at, job.start_by, job.prune_at, job.lease_ends if job.token else None)
        )
        ends = [*(until for until, _ in self.pauses.values()), *(end for _, _, end in self.keys.values())]
        return {each for each in (*of_jobs, *ends) if each is not None}

    # -- workers ---------------------------------------------------------------------------------------

    def register_worker(self, worker_id: str, said: dict[str, Any]) -> str:
        new = {"slots": 1, "job_types": [], "jobs": [], "started": self.now, "directive": "run"}
        self.workers[worker_id] = self.workers.get(worker_id, new) | said | {"seen": self.now}
        return self.workers[worker_id]["directive"]

    def signal_worker(self, worker_id: str, directive: str) -> bool:
        if worker_id in self.workers:
            self.workers[worker_id] = self.workers[worker_id] | {"directive": directive}
        return worker_id in self.workers

    def silent_workers(self) -> list[str]:
        """Return those of which nothing was heard for a day."""
        return [name for name, each in self.workers.items() if each["seen"] < self.now - DAY]

    # -- looking ---------------------------------------------------------------------------------------

    def counts(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for job in self.jobs.values():
            of_type = found.setdefault(job.job_type, {})
            of_type[job.status] = of_type.get(job.status, 0) + 1
        return found

    def stats(self) -> dict[str, tuple[int, int, int, int | None]]:
        """Answer with ready, running, delayed and the oldest ready job's age of each type with live jobs."""
        found = {}
        for job_type in {job.job_type for job in self._of(*LIVE)}:
            pending = [job for job in self._of("pending") if job.job_type == job_type]
            ready = [job for job in pending if job.run_at <= self.now]
            running = [job for job in self._of("processing") if job.job_type == job_type]
            oldest = max((self.now - job.run_at for job in ready), default=None)
            found[job_type] = (len(ready), len(running), len(pending) - len(ready), oldest)
        return found

    def listed(
        self,
        statuses: list[str] | None,
        types: list[str] | None,
        after: int | None,
        before: int | None,
        metadata: dict[str, str],
    ) -> list[str]:
        """Answer with the ids of a whole list, in its order."""
        jobs = [
            job
            for job in self.jobs.values()
            if (statuses is None or job.status in statuses)
            and (types is None or job.job_type in types)
            and (after is None or job.created > after)
            and (before is None or job.created < before)
            and metadata.items() <= job.metadata.items()
        ]
        orders = {
            "pending": claim_order,
            "processing": lambda job: (-job.started, -job.place),
            **dict.fromkeys(TERMINAL, lambda job: (-job.completed, -job.place)),
        }
        status = statuses[0] if statuses is not None and len(statuses) == 1 else None
        order = orders.get(status, lambda job: -job.place)
        return [job.id for job in sorted(jobs, key=order)]

    def kept_log(self, job: Job) -> tuple[Any, ...]:
        """Answer with the updates of a job that are still there."""
        return job.log[-self.options.updates_kept :]

    def history(self) -> dict[tuple[int, str], dict[str, int]]:
        """Answer with the figures of each minute of the last day."""
        since = self.now - DAY
        return {key: dict(each) for key, each in self.minutes.items() if key[0] + MINUTE > since}

    def error_groups(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Answer with how often each type of error came in the last day, to the hour, and when last."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for (hour, job_type, kind), (count, last) in self.failed.items():
            if hour + HOUR > self.now - DAY:
                known, known_last = found.get((job_type, kind), (0, 0))
                found[job_type, kind] = (known + count, max(known_last, last))
        return found

    def setting(self, job: Job, name: str, default: Any) -> Any:
        """Return a setting in force: the job's, else its type's, else the default."""
        own = job.own.get(name)
        return self._type_setting(job.job_type, name, default) if own is None else own

    def type_settings(self) -> dict[str, dict[str, Any]]:
        """Answer with the settings in force and the pause of each type that has any, or jobs."""
        types = {*self.operator, *self.published, *self.pauses, *(job.job_type for job in self.jobs.values())}
        defaults = {"max_attempts": 1, "base": 1.0, "timeout": None, "max_lost": 3, "max_pending": None}
        return {
            job_type: {name: self._type_setting(job_type, name, each) for name, each in defaults.items()}
            | {"pause": self.pauses[job_type] if self.is_paused(job_type) else None}
            for job_type in types
        }

    # -- the parts -------------------------------------------------------------------------------------

    def _of(self, *statuses: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.status in statuses]

    def _type_setting(self, job_type: str, name: str, default: Any) -> Any:
        layers = (self.operator.get(job_type, {}), self.published.get(job_type, {}))
        return next((layer[name] for layer in layers if name in layer), default)

    def _holder(self, job_type: str, key: str | None) -> Job | None:
        holders = (job for job in self.jobs.values() if job.holds_key)
        return next((job for job in holders if (job.job_type, job.unique_key) == (job_type, key)), None)

    def _refusal(
        self, job_id: str, token: str | None, allowed: tuple[str, ...], settling: str | None = None
    ) -> str | None:
        job = self.jobs.get(job_id)
        if job is None:
            return "unknown"
        if token is not None and token != job.token:
            return "repeated" if settling and job.settled == (settling, token) else "stale"
        return None if job.status in allowed else "terminal"

    def _put_back(self, job: Job, run_at: int, verb: str | None = None, token: str | None = None) -> None:
        self._leave(job, "pending", verb, token)
        job.run_at = run_at

    def _end(
        self, job: Job, status: str, error: str | None, verb: str | None = None, token: str | None = None
    ) -> None:
        self._count(job, status)
        self._leave(job, status, verb, token)
        keep = self.options.retention[status]
        job.prune_at = None if keep is None else self.now + keep
        job.error, job.completed, job.start_by, job.holds_key = error, self.now, None, False

    def _leave(self, job: Job, status: str, verb: str | None, token: str | None) -> None:
        job.status, job.token = status, None
        if verb is not None and token is not None:
            job.settled = (verb, token)

    def _note(self, job: Job, kind: str, message: str | None) -> None:
        job.errors = (*job.errors, (job.attempt, kind, message, self.now))[-ERRORS_KEPT:]
        self._tally(job, kind)

    def _changed(self, job: Job, kind: str = "status", error: str | None = None) -> None:
        job.updated = self.now
        job.changes += 1
        self._publish(job, kind, error=error)

    def _publish(
        self,
        job: Job,
        kind: str,
        progress: float | None = None,
        message: str | None = None,
        error: str | None = None,
        results: Any = None,
    ) -> None:
        said = (
            kind, job.status, job.attempt,
            job.progress if progress is None else progress,
            job.message if message is None else message,
            job.error if error is None else error,
            job.results if kind == "status" else results,
            self.now,
        )  # fmt: skip
        job.log = (*job.log, said)

    def _count(self, job: Job, figure: str) -> None:
        self.minutes.setdefault((self.now - self.now % MINUTE, job.job_type), Counter())[figure] += 1

    def _tally(self, job: Job, kind: str) -> None:
        key = (self.now - self.now % HOUR, job.job_type, kind)
        self.failed[key] = (self.failed.get(key, (0, 0))[0] + 1, self.now)


def claim_order(job: Job) -> tuple[int, ...]:
    """Return what claims sort by: the best first."""
    return -WEIGHTS[job.priority], job.run_at, job.place
