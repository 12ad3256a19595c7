"""Cancelling, retrying, pausing and the rest that operators do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from jdobb_async_queue import validation
from jdobb_async_queue.models import Directive, Maintained, Outcome
from jdobb_async_queue.queue.core import QueueCore
from jdobb_async_queue.records import TypeRecord, WorkerBeat
from jdobb_async_queue.transitions import Transition
from jdobb_async_queue.views import job_type_view, job_view, worker_view

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from jdobb_async_queue.models import ErrorGroup, HistoryPoint, Job, JobTypeInfo, WorkerInfo
    from jdobb_async_queue.retry import RetryPolicy

_DIRECTIVES = get_args(Directive)
_DAY = 86_400.0


class Operator(QueueCore):
    """The calls that manage jobs, job types and workers."""

    async def cancel(self, job_id: str, reason: str | None = None) -> bool:
        """Cancel a pending or processing job; its status is ``cancelled`` when this returns True.

        ``reason`` becomes the job's ``error``. False when the job is unknown or terminal.
        """
        return (await self.try_cancel(job_id, reason))[0] is Outcome.OK

    async def retry(self, job_id: str) -> bool:
        """Make a failed or cancelled job ready now, as if it had never run.

        False when the job is unknown, live or complete, or another live job holds its unique key.
        """
        return (await self.try_retry(job_id))[0] is Outcome.OK

    async def delete(self, job_id: str) -> bool:
        """Remove a terminal job with all that belongs to it; False when it is unknown or live."""
        return (await self.try_delete(job_id))[0] is Outcome.OK

    async def try_cancel(self, job_id: str, reason: str | None = None) -> tuple[Outcome, Job | None]:
        """Do as ``cancel`` does, and return the outcome and the job afterwards."""
        said = validation.optional_text(reason, "reason", validation.MAX_ERROR_LENGTH)
        return await self._change(Transition.cancel(job_id, said, self._retention))

    async def try_retry(self, job_id: str) -> tuple[Outcome, Job | None]:
        """Do as ``retry`` does; the outcome ``conflict`` means that the unique key is taken."""
        return await self._change(Transition.retry(job_id))

    async def try_delete(self, job_id: str) -> tuple[Outcome, Job | None]:
        """Do as ``delete`` does; with the outcome ``terminal`` (it is not) comes the job."""
        backend = await self._ready()
        outcome = (await backend.delete([job_id]))[0]
        if outcome is not Outcome.TERMINAL:
            return outcome, None
        record = (await backend.get([job_id]))[0]
        return outcome, None if record is None else job_view(record)

    async def pause(
        self, job_type: str, *, until: datetime | None = None, reason: str | None = None
    ) -> JobTypeInfo:
        """Stop claims of a job type in every process from the moment this returns.

        Running jobs go on, enqueueing too; ``until`` (an aware datetime) resumes by itself.
        """
        validation.name(job_type, "job_type")
        ends = None if until is None else validation.at(until, "until")
        why = validation.optional_text(reason, "reason", 1000) or None
        backend = await self._ready()
        return job_type_view(await backend.pause(job_type, until=ends, reason=why), backend.now())

    async def resume(self, job_type: str) -> JobTypeInfo:
        """Allow claims of a job type again."""
        validation.name(job_type, "job_type")
        backend = await self._ready()
        return job_type_view(await backend.resume(job_type), backend.now())

    async def set_job_type(
        self,
        job_type: str,
        *,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        max_lost: int | None = None,
        max_pending: int | None = None,
        schema: dict[str, Any] | None = None,
    ) -> JobTypeInfo:
        """Put an operator's settings of a job type; they win over what workers publish.

        They replace the earlier ones as a whole; what is left out is the handler's, else the default.
        ``schema`` is the JSON Schema of the payload, unless a handler's ``data_model`` has published one.
        """
        validation.name(job_type, "job_type")
        settings = validation.job_settings(
            None, retry, timeout, max_lost, max_pending=max_pending, schema=schema
        )
        backend = await self._ready()
        stored = await backend.set_job_type(job_type, operator=settings or b"{}")
        return job_type_view(stored, backend.now())

    async def job_types(self) -> list[JobTypeInfo]:
        """Return every job type that has settings or jobs, by name."""
        backend = await self._ready()
        stored = await backend.job_types()
        now = backend.now()
        known = {job_type: job_type_view(record, now) for job_type, record in stored.items()}
        for job_type in await backend.counts():
            if job_type not in known:
                known[job_type] = job_type_view(TypeRecord(job_type), now)
        return [known[job_type] for job_type in sorted(known)]

    async def workers(self) -> list[WorkerInfo]:
        """Return the registered workers, latest started first."""
        backend = await self._ready()
        now = backend.now()
        return [worker_view(record, now) for record in await backend.workers()]

    async def maintain(self, limit: int = 200) -> Maintained:
        """Do what only time does: rescue, expire and prune up to ``limit`` jobs each.

        Workers do it by themselves. Where none runs, since all of them are over HTTP, say, call it every few
        seconds, from any number of processes; again at once while a number reaches the limit.
        """
        most = validation.count(limit, "limit")
        backend = await self._ready()
        swept = await backend.sweep(most, self._retention)
        return Maintained(rescued=swept.rescued, expired=swept.expired, pruned=await backend.prune(most))

    async def worker(self, worker_id: str) -> WorkerInfo | None:
        """Return a registered worker; None when there is no such worker."""
        backend = await self._ready()
        record = await backend.worker(worker_id)
        return None if record is None else worker_view(record, backend.now())

    async def register_worker(
        self,
        worker_id: str,
        *,
        host: str | None = None,
        pid: int | None = None,
        slots: int | None = None,
        job_types: Iterable[str] | None = None,
        jobs: Iterable[str] | None = None,
        stopping: Iterable[str] | None = None,
        started_at: datetime | None = None,
    ) -> Directive:
        """Enter a worker that is not this library's into the registry, or refresh its entry.

        Return what it has been told: ``run``, ``quiet`` or ``stop``. ``slots`` is how many jobs it runs at
        once, ``jobs`` are those that it runs and ``stopping`` those of them that it has to give up;
        ``started_at`` is an aware datetime. What is left out stays as the entry has it; a new one has no
        jobs, one slot, and starts now. Call it at least every minute, else the worker is ``stale``; after a
        day of silence it is forgotten. Raises ``ValueError`` or ``TypeError`` naming the argument.
        """
        backend = await self._ready()
        beat = WorkerBeat(
            id=validation.name(worker_id, "worker_id"),
            host=validation.optional_text(host, "host", 255),
            pid=None if pid is None else validation.count(pid, "pid", least=0, most=2**31 - 1),
            slots=None if slots is None else validation.count(slots, "slots"),
            job_types=_distinct(job_types, "job_types"),
            jobs=_distinct(jobs, "jobs"),
            stopping=_distinct(stopping, "stopping"),
            started_at=None if started_at is None else validation.at(started_at, "started_at", down=True),
        )
        return await backend.beat_worker(beat)  # type: ignore[return-value]  # only the three are stored

    async def signal_worker(self, worker_id: str, directive: str) -> bool:
        """Tell a worker to take no new jobs (``"quiet"``), to go on (``"run"``) or to stop (``"stop"``).

        False when there is no such worker. It learns of it within a second or at its next heartbeat.
        """
        validation.one_of(directive, "directive", _DIRECTIVES)
        backend = await self._ready()
        return await backend.signal_worker(worker_id, directive)

    async def stats_history(self, window: float = _DAY) -> list[HistoryPoint]:
        """Return per-minute counts and wait and run quantiles per job type, oldest first.

        ``window`` is how many seconds to look back, at most a day.
        """
        backend = await self._ready()
        return await backend.history(self._since(window))

    async def stats_errors(self, window: float = _DAY) -> list[ErrorGroup]:
        """Return failed attempts by job type and error type, most frequent first; to the hour."""
        backend = await self._ready()
        return await backend.error_groups(self._since(window))

    def _since(self, window: float) -> int:
        return self._backend.now() - int(validation.number(window, "window", least=1, most=_DAY) * 1000)


def _distinct(values: Iterable[str] | None, field: str) -> tuple[str, ...] | None:
    if values is None:
        return None
    return tuple(dict.fromkeys(validation.name(value, field) for value in validation.several(values, field)))
