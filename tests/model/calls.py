"""The calls of a history: each knows how to ask a queue, and what the model expects it to answer.

``expect`` gets the answer too, for what only the queue can know: new ids and lease tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jdobb_async_queue import Broadcaster, Idempotency, JobQueue, JobQueueError, NewJob, RetryPolicy
from jdobb_async_queue.models import instant
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.validation import job_settings
from tests.model.reference import Lease, Model, Refused, millis, settings_of


class Call(ABC):
    """One call of the library."""

    @abstractmethod
    async def ask(self, queue: JobQueue) -> Any:
        """Make the call; the answer, in words and numbers that the model knows."""

    @abstractmethod
    def expect(self, model: Model, answer: Any) -> Any:
        """Make the call on the model, and return what should have been answered."""


# -- putting in ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Enqueue(Call):
    """``enqueue`` by each of its names."""

    batch: list[NewJob]
    key: str | None = None
    keep: float = 86_400.0
    plain: bool = False

    async def ask(self, queue: JobQueue) -> Any:
        try:
            if self.plain and len(self.batch) == 1:
                fields = self.batch[0].model_dump(exclude={"request_id", "traceparent", "retry"})
                return [await queue.enqueue(**fields, retry=self.batch[0].retry)]
            if self.plain:
                return await queue.enqueue_many(self.batch)
            if self.key is None:
                stored = await queue.submit_many(self.batch)
            else:
                body = self.batch[0].model_dump_json()
                idempotency = Idempotency(scope="s", key=self.key, fingerprint=body, keep=self.keep)
                stored = [await queue.submit(self.batch[0], idempotency=idempotency)]
        except JobQueueError as error:
            return type(error).__name__
        return [(each.job.id, each.created, each.replayed) for each in stored]

    def expect(self, model: Model, answer: Any) -> Any:
        told = [] if isinstance(answer, str) else [each if self.plain else each[0] for each in answer]
        ids = _ids(self.batch, told, model)
        try:
            expected = model.submit(self.batch, ids, self.key, millis(self.keep) or 0)
        except Refused as refused:
            return str(refused)
        return [each[0] for each in expected] if self.plain else expected


def _ids(batch: list[NewJob], told: list[str], model: Model) -> list[str]:
    """Return the jobs' own ids; for those without one the id that was made, if the queue told of one."""
    known = {*model.ids, *(new.job_id for new in batch)}
    ids = []
    for n, new in enumerate(batch):
        is_new = n < len(told) and told[n] not in known
        ids.append(new.job_id or (told[n] if is_new else f"unknown-{n}"))
        known.add(ids[-1])
    return ids


# -- taking out ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim(Call):
    types: list[str] | None
    limit: int
    lease: int
    worker: str | None = None

    async def ask(self, queue: JobQueue) -> Any:
        jobs = await queue.claim_many(self.types, self.limit, lease=self.lease / 1000, worker_id=self.worker)
        ends = instant(queue.backend.now()) + timedelta(milliseconds=self.lease)
        assert [job.lease_expires_at for job in jobs] == [ends] * len(jobs)
        return [(job.id, job.lease_token) for job in jobs]

    def expect(self, model: Model, answer: Any) -> Any:
        tokens = [token for _, token in answer]
        return model.claim(self.types, self.limit, self.lease, self.worker, tokens)


@dataclass(frozen=True)
class Heartbeat(Call):
    leases: list[Lease]

    async def ask(self, queue: JobQueue) -> Any:
        states = await queue.heartbeat([(lease.job_id, lease.token) for lease in self.leases])
        return [(state.status, millis(state.expires_in)) for state in states]

    def expect(self, model: Model, answer: Any) -> Any:
        return [model.heartbeat(lease) for lease in self.leases]


class Change(Call):
    """A guarded change of one job."""

    verb: str
    plain: bool

    async def ask(self, queue: JobQueue) -> Any:
        arguments, options = self.arguments()
        if self.plain:
            return await getattr(queue, self.verb)(*arguments, **options)
        outcome, job = await getattr(queue, f"try_{self.verb}")(*arguments, **options)
        return outcome.value, None if job is None else (job.status.value, job.version > 0)

    def expect(self, model: Model, answer: Any) -> Any:
        outcome = self.on(model)
        if self.plain:
            return outcome in {"ok", "repeated"}
        job = model.jobs.get(self.arguments()[0][0])
        return outcome, None if job is None else (job.status, True)

    @abstractmethod
    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of the queue's method."""

    @abstractmethod
    def on(self, model: Model) -> str:
        """Make the change on the model and return its outcome."""


@dataclass(frozen=True)
class Update(Change):
    job_id: str
    token: str | None
    progress: float | None
    message: str | None
    plain: bool
    verb = "update"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        return [self.job_id, self.progress, self.message], {"lease_token": self.token}

    def on(self, model: Model) -> str:
        return model.update(self.job_id, self.token, self.progress, self.message)


@dataclass(frozen=True)
class Report(Call):
    """An update by the holder of a lease, answered with how the lease stands."""

    lease: Lease
    progress: float | None

    async def ask(self, queue: JobQueue) -> Any:
        try:
            state = await queue.report(self.lease.job_id, self.progress, lease_token=self.lease.token)
        except JobQueueError as error:
            return type(error).__name__
        return state.status, millis(state.expires_in)

    def expect(self, model: Model, answer: Any) -> Any:
        outcome = model.update(self.lease.job_id, self.lease.token, self.progress, None)
        return "JobNotFound" if outcome == "unknown" else model.look(self.lease)


@dataclass(frozen=True)
class Complete(Change):
    job_id: str
    token: str | None
    results: dict[str, Any] | None
    plain: bool
    verb = "complete"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        return [self.job_id, self.results], {"lease_token": self.token}

    def on(self, model: Model) -> str:
        return model.complete(self.job_id, self.token, self.results)


@dataclass(frozen=True)
class Fail(Change):
    job_id: str
    token: str | None
    error_type: str | None
    retry: bool | None
    retry_in: float | None
    plain: bool
    verb = "fail"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        options = {"type": self.error_type, "retry": self.retry, "retry_in": self.retry_in}
        return [self.job_id, f"{self.error_type} met"], options | {"lease_token": self.token}

    def on(self, model: Model) -> str:
        return model.fail(
            self.job_id,
            self.token,
            f"{self.error_type} met",
            "Error" if self.error_type is None else self.error_type,
            self.retry,
            millis(self.retry_in),
        )


@dataclass(frozen=True)
class Release(Change):
    job_id: str
    token: str
    delay: float | None
    plain: bool
    verb = "release"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        return [self.job_id], {"lease_token": self.token, "delay": self.delay}

    def on(self, model: Model) -> str:
        return model.release(self.job_id, self.token, millis(self.delay))


@dataclass(frozen=True)
class Log(Call):
    lease: Lease

    async def ask(self, queue: JobQueue) -> Any:
        line = Transition.log(self.lease.job_id, "line", lease_token=self.lease.token)
        return (await queue.backend.apply([line]))[0].outcome.value

    def expect(self, model: Model, answer: Any) -> Any:
        return model.write_log(self.lease.job_id, self.lease.token, "line")


# -- operating -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cancel(Change):
    job_id: str
    reason: str | None
    plain: bool
    verb = "cancel"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        return [self.job_id, self.reason], {}

    def on(self, model: Model) -> str:
        return model.cancel(self.job_id, self.reason)


@dataclass(frozen=True)
class Retry(Change):
    job_id: str
    plain: bool
    verb = "retry"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        return [self.job_id], {}

    def on(self, model: Model) -> str:
        return model.retry(self.job_id)


@dataclass(frozen=True)
class Delete(Call):
    """Removing; the job that comes with a refusal is read a moment later, so it may have moved on."""

    job_id: str
    plain: bool

    async def ask(self, queue: JobQueue) -> Any:
        if self.plain:
            return await queue.delete(self.job_id)
        return (await queue.try_delete(self.job_id))[0].value

    def expect(self, model: Model, answer: Any) -> Any:
        outcome = model.delete(self.job_id)
        return outcome == "ok" if self.plain else outcome


@dataclass(frozen=True)
class Send(Call):
    job_id: str
    progress: float | None
    message: str | None
    data: dict[str, Any] | None

    async def ask(self, queue: JobQueue) -> Any:
        return await Broadcaster(queue).send(self.job_id, self.progress, self.message, self.data)

    def expect(self, model: Model, answer: Any) -> Any:
        return model.send(self.job_id, self.progress, self.message, self.data)


@dataclass(frozen=True)
class Pause(Call):
    job_type: str
    until: int | None
    reason: str | None

    async def ask(self, queue: JobQueue) -> Any:
        until = None if self.until is None else instant(self.until)
        return (await queue.pause(self.job_type, until=until, reason=self.reason)).paused

    def expect(self, model: Model, answer: Any) -> Any:
        model.pauses[self.job_type] = (self.until, self.reason)
        return model.is_paused(self.job_type)


@dataclass(frozen=True)
class Resume(Call):
    job_type: str

    async def ask(self, queue: JobQueue) -> Any:
        return (await queue.resume(self.job_type)).paused

    def expect(self, model: Model, answer: Any) -> Any:
        if model.pauses.pop(self.job_type, None) is not None:
            model.operator.setdefault(self.job_type, {})
        return False


@dataclass(frozen=True)
class SetJobType(Call):
    """An operator's settings of a job type, or those that a worker publishes."""

    job_type: str
    retry: RetryPolicy | None
    timeout: float | None
    max_lost: int | None
    max_pending: int | None
    published: bool

    async def ask(self, queue: JobQueue) -> Any:
        if not self.published:
            await queue.set_job_type(
                self.job_type,
                retry=self.retry,
                timeout=self.timeout,
                max_lost=self.max_lost,
                max_pending=self.max_pending,
            )
            return None
        settings = job_settings(None, self.retry, self.timeout, self.max_lost, max_pending=self.max_pending)
        await queue.backend.set_job_type(self.job_type, published=settings or b"{}")
        return None

    def expect(self, model: Model, answer: Any) -> Any:
        layer = model.published if self.published else model.operator
        layer[self.job_type] = settings_of(
            self.retry, timeout=self.timeout, max_lost=self.max_lost, max_pending=self.max_pending
        )


# -- maintenance and workers ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Maintain(Call):
    async def ask(self, queue: JobQueue) -> Any:
        done = await queue.maintain(1000)
        return done.rescued, done.expired, done.pruned

    def expect(self, model: Model, answer: Any) -> Any:
        return (*model.sweep(), model.prune())


@dataclass(frozen=True)
class RegisterWorker(Call):
    worker_id: str
    said: dict[str, Any]

    async def ask(self, queue: JobQueue) -> Any:
        return await queue.register_worker(self.worker_id, **self.said)

    def expect(self, model: Model, answer: Any) -> Any:
        return model.register_worker(self.worker_id, self.said)


@dataclass(frozen=True)
class SignalWorker(Call):
    worker_id: str
    directive: str

    async def ask(self, queue: JobQueue) -> Any:
        return await queue.signal_worker(self.worker_id, self.directive)

    def expect(self, model: Model, answer: Any) -> Any:
        return model.signal_worker(self.worker_id, self.directive)


@dataclass(frozen=True)
class RemoveWorker(Call):
    worker_id: str

    async def ask(self, queue: JobQueue) -> Any:
        await queue.backend.remove_worker(self.worker_id)

    def expect(self, model: Model, answer: Any) -> Any:
        model.workers.pop(self.worker_id, None)


# -- looking -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class List(Call):
    """A whole list, page by page."""

    statuses: list[str] | None
    types: list[str] | None
    after: int | None
    before: int | None
    metadata: dict[str, str]
    limit: int

    async def ask(self, queue: JobQueue) -> Any:
        found: list[str] = []
        cursor = None
        while True:
            page = await queue.list_jobs(
                self.statuses,
                self.types,
                None if self.after is None else instant(self.after),
                None if self.before is None else instant(self.before),
                self.metadata,
                self.limit,
                cursor,
            )
            assert len(page.items) <= self.limit
            found += [job.id for job in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return found

    def expect(self, model: Model, answer: Any) -> Any:
        return model.listed(self.statuses, self.types, self.after, self.before, self.metadata)
