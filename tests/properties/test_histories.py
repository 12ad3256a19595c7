"""Random histories: every backend answers as the plain model does, step by step.

A history moves a manual clock, so nothing in it depends on the machine. Tokens are told apart by the claim
that made them. What the specification fixes is compared with the model; everything else that can be read is
compared between the backends.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jdobb_async_queue import (
    Broadcaster,
    Idempotency,
    Job,
    JobQueue,
    JobQueueError,
    NewJob,
    RetryPolicy,
)
from jdobb_async_queue.backends.base import LeaseRef
from jdobb_async_queue.records import Retention
from jdobb_async_queue.transitions import Transition
from tests.support.backends import KINDS, Kind
from tests.support.clock import ManualClock
from tests.support.jobs import log_of, next_due
from tests.support.model import Model, Refused, Spec

RETENTION = {"complete": 4.0, "failed": 20.0, "cancelled": None}
RETENTION_MS = {status: None if keep is None else int(keep * 1000) for status, keep in RETENTION.items()}
POLICY = {"base": 2, "factor": 2, "cap": 5, "jitter": 0}
IDS = [f"job-{n}" for n in range(6)]
STATUSES = ["pending", "processing", "complete", "failed", "cancelled"]

job_types = st.sampled_from(["a", "b"])
specs = st.fixed_dictionaries(
    {
        "id": st.sampled_from(IDS),
        "data": st.sampled_from([{"n": 0}] * 4 + [{"n": 1}]),
        "priority": st.sampled_from(["normal", "normal", "low", "high"]),
        "delay": st.sampled_from([None, None, None, 1000, 4000]),
        "ttl": st.sampled_from([None, None, None, 1000, 6000]),
        "max_attempts": st.sampled_from([None, 2, 3]),
        "max_lost": st.sampled_from([None, 1, 2]),
        "unique_key": st.sampled_from([None, None, "k", "k"]),
        "unique_until": st.sampled_from(["finished", "finished", "started"]),
        "on_conflict": st.sampled_from(["return", "replace", "reject"]),
    }
).map(lambda spec: spec | {"type": "a" if spec["id"] < IDS[3] else "b"})
delays = st.sampled_from([None, 0, 3000])


def move(verb: str, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Return the moves of one method of a history."""
    return st.tuples(st.just(verb), st.fixed_dictionaries(options))


moves_of_the_owner = (
    move("complete")
    | move("fail", retry=st.sampled_from([None, None, False]), retry_in=delays)
    | move("release", delay=delays)
    | move("update", progress=st.sampled_from([None, 0.2, 0.7]), message=st.sampled_from([None, "x"]))
    | move("log")
    | move("live_by_heartbeats")
)
moves_by_hand = (
    move("cancel", reason=st.sampled_from([None, "enough"]))
    | move("retry")
    | move("delete")
    | move("complete_by_hand")
    | move("fail_by_hand", retry_in=delays)
    | move("update_by_hand", progress=st.sampled_from([0.1, 0.5]), message=st.sampled_from([None, "y"]))
    | move("send")
)
moves_of_operators = (
    move("pause", seconds=st.sampled_from([None, 2, 5]))
    | move("resume")
    | move(
        "set_job_type",
        max_attempts=st.sampled_from([None, 2]),
        max_lost=st.sampled_from([None, 1]),
        max_pending=st.sampled_from([None, None, 4]),
    )
)
looks = (
    move("list_jobs", status=st.sampled_from([None, *STATUSES]), job_type=st.sampled_from([None, "a"]))
    | move("stats")
    | move("look_at_what_only_the_backends_know")
)
leases = st.runner().flatmap(lambda history: st.sampled_from(history.leases[:-4:-1] * 2 + history.leases))
"""A lease of the history, the latest more often than those that must be stale by now."""
known_ids = st.runner().flatmap(lambda history: st.sampled_from([*history.model.jobs] * 3 + IDS))
"""An id, seldom an unknown one."""


Move = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Lease:
    """A claim as each side knows it."""

    job_id: str
    length: int
    token: int
    tokens: dict[str, str] = field(hash=False)


def new_job(spec: Spec) -> NewJob:
    return NewJob(
        job_type=spec["type"],
        data=spec["data"],
        priority=spec["priority"],
        ttl=seconds(spec["ttl"]),
        job_id=spec["id"],
        delay=seconds(spec["delay"]),
        max_attempts=spec["max_attempts"],
        retry=RetryPolicy(**POLICY),
        max_lost=spec["max_lost"],
        unique_key=spec["unique_key"],
        unique_until=spec["unique_until"],
        on_conflict=spec["on_conflict"],
    )


def seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000


def millis(instant: Any) -> int | None:
    return None if instant is None else round(instant.timestamp() * 1000)


def shown(job: Job) -> dict[str, Any]:
    """Return what the specification says about a job."""
    return {
        "type": job.job_type,
        "data": job.data,
        "status": job.status.value,
        "priority": job.priority.value,
        "progress": job.progress,
        "message": job.message,
        "results": job.results,
        "error": "expired" if job.error and job.error.startswith("expired:") else job.error,
        "errors": [(each.attempt, None if each.type == "LeaseLost" else each.message) for each in job.errors],
        "attempt": job.attempt,
        "failures": job.failures,
        "losses": job.losses,
        "max_attempts": job.max_attempts,
        "max_lost": job.max_lost,
        "ttl": None if job.ttl is None else round(job.ttl * 1000),
        "run_at": millis(job.run_at),
        "created": millis(job.created_at),
        "updated": millis(job.updated_at),
        "started": millis(job.started_at),
        "completed": millis(job.completed_at),
        "unique_key": job.unique_key,
        "worker": job.worker_id,
    }


class Histories(RuleBasedStateMachine):
    """Runs each step on the model and on every backend, and compares the answers."""

    def __init__(self, kinds: list[Kind]) -> None:
        super().__init__()
        self.kinds = kinds
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.model = Model(self.clock.now(), RETENTION_MS)
        self.queues = {
            kind.name: JobQueue(
                kind.make(Path(self.folder.name), self.clock, "default"), retention=dict(RETENTION)
            )
            for kind in kinds
        }
        self.leases: list[Lease] = []
        self.logs: dict[tuple[str, int], list[Any]] = {}
        self.versions: dict[tuple[str, str, int], tuple[int, int]] = {}
        for queue in self.queues.values():
            self.run(queue.open())

    def teardown(self) -> None:
        try:
            for job_id, job in self.model.jobs.items():
                self.check_log(job_id, job["log"])
            self.check_the_stores()
        finally:
            self.close()

    def close(self) -> None:
        for queue in self.queues.values():
            self.run(queue.close())
        self.loop.close()
        self.folder.cleanup()

    def run(self, call: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(call)

    def each(self, call: Callable[[str, JobQueue], Awaitable[Any]], expected: Any) -> None:
        """Make a call on every backend and compare its answer with the model's."""
        for name, queue in self.queues.items():
            answer = self.run(call(name, queue))
            assert answer == expected, (name, answer, expected)

    def outcome(
        self, verb: str, job_id: str, lease: Lease | None, expected: str, *args: Any, **options: Any
    ) -> None:
        async def call(name: str, queue: JobQueue) -> str:
            token = {} if lease is None else {"lease_token": lease.tokens[name]}
            outcome, _ = await getattr(queue, f"try_{verb}")(job_id, *args, **options, **token)
            return outcome.value

        self.each(call, expected)

    # -- what happens ----------------------------------------------------------------------------------

    @precondition(lambda self: self.leases)
    @rule(lease=leases, move=moves_of_the_owner)
    def owner(self, lease: Lease, move: Move) -> None:
        verb, options = move
        getattr(self, verb)(lease, **options)

    @rule(job_id=known_ids, move=moves_by_hand)
    def hand(self, job_id: str, move: Move) -> None:
        verb, options = move
        getattr(self, verb)(job_id, **options)

    @rule(job_type=job_types, move=moves_of_operators)
    def operator(self, job_type: str, move: Move) -> None:
        verb, options = move
        getattr(self, verb)(job_type, **options)

    @rule(look=looks)
    def look(self, look: Move) -> None:
        verb, options = look
        getattr(self, verb)(**options)

    @rule(prune=st.booleans())
    def maintenance(self, prune: bool) -> None:
        if prune:
            self.prune()
        else:
            self.sweep()

    # -- putting in ------------------------------------------------------------------------------------

    @initialize(batch=st.lists(specs, min_size=4, max_size=6, unique_by=lambda spec: spec["id"]))
    def enqueue_some(self, batch: list[Spec]) -> None:
        self.enqueue(batch)

    @rule(batch=st.lists(specs, min_size=1, max_size=3))
    def enqueue(self, batch: list[Spec]) -> None:
        async def call(_: str, queue: JobQueue) -> Any:
            try:
                stored = await queue.submit_many([new_job(spec) for spec in batch])
            except JobQueueError as error:
                return type(error).__name__
            return [(each.job.id, each.created, each.replayed) for each in stored]

        self.each(call, self.expected(batch))

    @rule(spec=specs, key=st.sampled_from(["k", "l", "m"]), again=st.booleans())
    def submit_with_a_key(self, spec: Spec, key: str, again: bool) -> None:
        if again and key in self.model.keys:
            (spec,) = self.model.keys[key][0]
        idempotency = Idempotency(scope="s", key=key, fingerprint=repr(sorted(spec.items(), key=str)))

        async def call(_: str, queue: JobQueue) -> Any:
            try:
                stored = await queue.submit(new_job(spec), idempotency=idempotency)
            except JobQueueError as error:
                return type(error).__name__
            return [(stored.job.id, stored.created, stored.replayed)]

        self.each(call, self.expected([spec], key))

    def expected(self, batch: list[Spec], key: str | None = None) -> Any:
        try:
            return self.model.enqueue(batch, key)
        except Refused as refused:
            return str(refused)

    # -- taking out ------------------------------------------------------------------------------------

    @rule(
        types=st.sampled_from([None, None, ["a"], ["b", "a"]]),
        limit=st.sampled_from([1, 1, 3]),
        lease=st.sampled_from([500, 2000, 8000]),
    )
    def claim(self, types: list[str] | None, limit: int, lease: int) -> None:
        claimed = self.model.claim(types, limit, lease, "w")
        tokens: list[dict[str, str]] = [{} for _ in claimed]

        async def call(name: str, queue: JobQueue) -> list[str]:
            jobs = await queue.claim_many(types, limit, lease=lease / 1000, worker_id="w")
            for mine, job in zip(tokens, jobs, strict=False):
                assert job.lease_token is not None
                assert job.lease_expires_at == self.clock.time + timedelta(milliseconds=lease)
                mine[name] = job.lease_token
            return [job.id for job in jobs]

        self.each(call, [job_id for job_id, _ in claimed])
        if not claimed:
            self.check_next_due(types)
        self.leases += (
            Lease(job_id, lease, token, mine) for (job_id, token), mine in zip(claimed, tokens, strict=True)
        )

    @rule()
    def claim_the_best(self) -> None:
        self.claim(None, 1, 8000)

    def check_next_due(self, types: list[str] | None) -> None:
        """Check that who found nothing is told to look again later, and early enough."""
        latest = self.model.next_due(types)
        for name, queue in self.queues.items():
            due = self.run(next_due(queue, types))
            assert due is None or due > self.clock.now(), name
            assert latest is None or (due is not None and due <= latest), name

    def update(self, lease: Lease, progress: float | None, message: str | None) -> None:
        expected = self.model.update(lease.job_id, lease.token, progress, message)
        self.outcome("update", lease.job_id, lease, expected, progress, message)

    def update_by_hand(self, job_id: str, progress: float, message: str | None) -> None:
        expected = self.model.update(job_id, None, progress, message)
        self.outcome("update", job_id, None, expected, progress, message)

    @precondition(lambda self: self.leases)
    @rule(held=st.lists(leases, min_size=1, max_size=3))
    def heartbeat(self, held: list[Lease]) -> None:
        expected = [self.model.heartbeat(lease.job_id, lease.token) for lease in held]

        async def call(name: str, queue: JobQueue) -> list[tuple[str, int]]:
            states = await queue.heartbeat([(lease.job_id, lease.tokens[name]) for lease in held])
            return [(state.status, round(state.expires_in * 1000)) for state in states]

        self.each(call, expected)

    def live_by_heartbeats(self, lease: Lease) -> None:
        for _ in range(2):
            self.heartbeat([lease])
            self.wait(lease.length * 0.6 / 1000)

    def complete(self, lease: Lease) -> None:
        results = {"token": lease.token}
        expected = self.model.complete(lease.job_id, lease.token, results)
        self.outcome("complete", lease.job_id, lease, expected, results)

    def complete_by_hand(self, job_id: str) -> None:
        self.outcome("complete", job_id, None, self.model.complete(job_id, None, None))

    def fail(self, lease: Lease, retry: bool | None, retry_in: int | None) -> None:
        expected = self.model.fail(lease.job_id, lease.token, "boom", retry, retry_in)
        self.outcome("fail", lease.job_id, lease, expected, "boom", retry=retry, retry_in=seconds(retry_in))

    def fail_by_hand(self, job_id: str, retry_in: int | None) -> None:
        expected = self.model.fail(job_id, None, "hand", None, retry_in)
        self.outcome("fail", job_id, None, expected, "hand", retry_in=seconds(retry_in))

    def release(self, lease: Lease, delay: int | None) -> None:
        expected = self.model.release(lease.job_id, lease.token, delay)
        self.outcome("release", lease.job_id, lease, expected, delay=seconds(delay))

    # -- operating -------------------------------------------------------------------------------------

    def cancel(self, job_id: str, reason: str | None) -> None:
        self.outcome("cancel", job_id, None, self.model.cancel(job_id, reason), reason)

    def retry(self, job_id: str) -> None:
        self.outcome("retry", job_id, None, self.model.retry(job_id))

    def delete(self, job_id: str) -> None:
        self.outcome("delete", job_id, None, self.model.delete(job_id))

    def send(self, job_id: str) -> None:
        self.each(
            lambda _, queue: Broadcaster(queue).send(job_id, message="sent"), self.model.send(job_id, "sent")
        )

    def log(self, lease: Lease) -> None:
        async def call(name: str, queue: JobQueue) -> str:
            line = Transition.log(lease.job_id, "line", lease_token=lease.tokens[name])
            return (await queue.backend.apply([line]))[0].outcome.value

        self.each(call, self.model.log(lease.job_id, lease.token, "line"))

    def pause(self, job_type: str, seconds: int | None) -> None:
        until = None if seconds is None else self.clock.time + timedelta(seconds=seconds)
        self.model.pause(job_type, None if seconds is None else self.model.now + seconds * 1000)
        for queue in self.queues.values():
            self.run(queue.pause(job_type, until=until))

    def resume(self, job_type: str) -> None:
        self.model.resume(job_type)
        for queue in self.queues.values():
            self.run(queue.resume(job_type))

    def set_job_type(
        self, job_type: str, max_attempts: int | None, max_lost: int | None, max_pending: int | None
    ) -> None:
        limits = {"max_attempts": max_attempts, "max_lost": max_lost, "max_pending": max_pending}
        self.model.types[job_type] = {name: limit for name, limit in limits.items() if limit is not None}
        policy = None if max_attempts is None else RetryPolicy(max_attempts=max_attempts)
        for queue in self.queues.values():
            self.run(queue.set_job_type(job_type, retry=policy, max_lost=max_lost, max_pending=max_pending))

    # -- time ------------------------------------------------------------------------------------------

    @rule(pause=st.sampled_from([0.001, 0.5, 1, 1, 2, 2, 5, 30]))
    def wait(self, pause: float) -> None:
        self.clock.advance(pause)
        self.model.now = self.clock.now()

    def sweep(self) -> None:
        self.model.sweep()
        for queue in self.queues.values():
            self.run(queue.backend.sweep(1000, Retention(**RETENTION_MS)))

    def prune(self) -> None:
        self.each(lambda _, queue: queue.backend.prune(1000), self.model.prune())

    # -- looking ---------------------------------------------------------------------------------------

    def list_jobs(self, status: str | None, job_type: str | None) -> None:
        async def call(_: str, queue: JobQueue) -> list[str]:
            found: list[str] = []
            cursor = None
            while True:
                page = await queue.list_jobs(status, job_type, limit=2, cursor=cursor)
                found += [job.id for job in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    return found

        self.each(call, self.model.listed(status, job_type))

    def stats(self) -> None:
        async def call(_: str, queue: JobQueue) -> dict[str, tuple[int, int, int, int | None]]:
            return {
                job_type: (
                    each.ready,
                    each.running,
                    each.delayed,
                    None if each.oldest_ready_age is None else round(each.oldest_ready_age * 1000),
                )
                for job_type, each in (await queue.stats()).items()
            }

        self.each(call, self.model.stats())

    def look_at_what_only_the_backends_know(self) -> None:
        first, *others = [self.run(everything(queue)) for queue in self.queues.values()]
        for name, other in zip([*self.queues][1:], others, strict=True):
            assert other == first, name
        self.check_the_stores()

    def check_the_stores(self) -> None:
        for kind in self.kinds:
            self.run(kind.check(Path(self.folder.name), self.clock))

    @invariant()
    def every_job_is_as_the_model_says(self) -> None:
        expected = {job_id: self.expected_job(job) for job_id, job in self.model.jobs.items()}
        for name, queue in self.queues.items():
            jobs = [job for job in self.run(queue.get_many(IDS)) if job is not None]
            found = {job.id: shown(job) for job in jobs}
            assert found == expected, name
            for job in jobs:
                self.check_version(name, job)
        self.each(lambda _, queue: queue.counts(), self.model.counts())

    @invariant()
    def every_lease_is_as_the_model_says(self) -> None:
        expected = [self.model.look(lease.job_id, lease.token) for lease in self.leases]

        async def call(name: str, queue: JobQueue) -> list[tuple[str, int]]:
            refs = [LeaseRef(lease.job_id, lease.tokens[name], extend=False) for lease in self.leases]
            return [(answer.status, answer.expires_in) for answer in await queue.backend.heartbeat(refs)]

        self.each(call, expected)

    @invariant()
    def every_log_that_grew_is_as_the_model_says(self) -> None:
        for job_id, job in self.model.jobs.items():
            if self.logs.get((job_id, job["place"])) is not job["log"]:
                self.logs[job_id, job["place"]] = job["log"]
                self.check_log(job_id, job["log"])

    def check_log(self, job_id: str, expected: list[Any]) -> None:
        for name, queue in self.queues.items():
            log = self.run(log_of(queue, job_id))
            found = [
                (each.kind, each.status.value, each.attempt, each.progress, each.message) for each in log
            ]
            assert found == expected, (name, job_id)
            seqs = [each.seq for each in log]
            assert seqs == sorted(set(seqs)), (name, job_id)

    def expected_job(self, job: dict[str, Any]) -> dict[str, Any]:
        limits = {
            "max_attempts": self.model.setting(job, "max_attempts", 1),
            "max_lost": self.model.setting(job, "max_lost", 3),
        }
        names = (
            "type", "data", "status", "priority", "progress", "message", "results", "error", "errors",
            "attempt", "failures", "losses", "ttl", "run_at", "created", "updated", "started", "completed",
            "unique_key", "worker",
        )  # fmt: skip
        return {name: job[name] for name in names} | limits

    def check_version(self, name: str, job: Job) -> None:
        """Check that the version grew if, and only if, the job changed since it was last looked at."""
        model = self.model.jobs[job.id]
        key = (name, job.id, model["place"])
        changes, version = self.versions.get(key, (model["changes"], job.version))
        assert (job.version > version) is (model["changes"] > changes), (name, job.id, version, job.version)
        self.versions[key] = (model["changes"], job.version)


async def everything(queue: JobQueue) -> Any:
    """Return what can be read of a queue, but for seqs, and which of the errors of one instant came last."""
    jobs = (await queue.list_jobs(limit=200)).items
    logs = [[each.model_dump(exclude={"seq"}) for each in await log_of(queue, job.id)] for job in jobs]
    return (
        jobs,
        logs,
        await queue.job_types(),
        await queue.stats_history(),
        [(each.job_type, each.type, each.count, each.last_at) for each in await queue.stats_errors()],
    )


PARTS = 4
"""The histories are run in so many parts, beside each other where tests are."""

ONE_PART = {"sqlite-file"}
"""Where a step waits for a disk, one part is enough."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "part"),
    [(kind, part) for kind in KINDS[1:] for part in range(1 if kind.name in ONE_PART else PARTS)],
    ids=str,
)
def test_a_history_reads_the_same_in_memory_and_in(kind: Kind, part: int) -> None:
    run_state_machine_as_test(
        histories(kind, part),
        settings=settings(
            max_examples=settings.default.max_examples // PARTS,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def histories(kind: Kind, part: int) -> Callable[[], Histories]:
    """Return a maker of histories; while the profile is one that repeats itself, each part has its own."""

    def make() -> Histories:
        return Histories([KINDS[0], kind])

    return seed(part)(make) if settings.default.derandomize else make
