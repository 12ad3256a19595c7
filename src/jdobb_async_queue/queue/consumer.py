"""Claiming, reporting, settling: what a worker does with jobs, and what may be done by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jdobb_async_queue import validation
from jdobb_async_queue.backends.base import Applied, ClaimRequest, LeaseRef
from jdobb_async_queue.backends.bells import ANY_TYPE, type_topic
from jdobb_async_queue.encoding import encode_object
from jdobb_async_queue.errors import JobNotFound
from jdobb_async_queue.lifecycle import Failed, millis, settle
from jdobb_async_queue.models import LeaseState, Outcome
from jdobb_async_queue.queue.core import QueueCore, shown
from jdobb_async_queue.transitions import AttemptFailure, Transition, is_cancelled
from jdobb_async_queue.views import job_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jdobb_async_queue.models import Job
    from jdobb_async_queue.records import JobRecord

MAX_CLAIM = 1000
_LOOK_AGAIN = 1.0
_DONE = frozenset({Outcome.OK, Outcome.REPEATED})


class Consumer(QueueCore):
    """The calls that take jobs out and settle them."""

    async def claim(
        self,
        job_types: Sequence[str] | None = None,
        *,
        worker_id: str | None = None,
        lease: float | None = None,
        wait: float = 0.0,
    ) -> Job | None:
        """Claim the best ready job of these types (None: all), or None when there is none.

        ``wait`` is how many seconds to wait for one, ``lease`` how many the claim lasts unless renewed.
        The job that is returned carries ``lease_token``. A cancelled call strands no job.
        """
        jobs = await self.claim_many(job_types, 1, worker_id=worker_id, lease=lease, wait=wait)
        return jobs[0] if jobs else None

    async def claim_many(
        self,
        job_types: Sequence[str] | None = None,
        limit: int = 10,
        *,
        worker_id: str | None = None,
        lease: float | None = None,
        wait: float = 0.0,
    ) -> list[Job]:
        """Claim up to ``limit`` (at most 1,000) ready jobs in one step, best first; wait for the first."""
        types = validation.names(job_types, "job_types")
        validation.count(limit, "limit", most=MAX_CLAIM)
        if worker_id is not None:
            validation.name(worker_id, "worker_id")
        lease_ms = self._lease if lease is None else validation.lease_ms(lease)
        patience = validation.seconds(wait, "wait")
        backend = await self._ready()
        records = (await backend.claim_pending_jobs(self._request(types, limit, lease_ms, worker_id))).records
        if not records and patience:
            records = await self._claim_waiting(types, limit, lease_ms, worker_id, patience)
        return [job_view(record, claimed=True) for record in records]

    async def heartbeat(self, leases: Sequence[tuple[str, str]]) -> list[LeaseState]:
        """Renew leases, given as ``(job id, lease token)``, each for its own length; one answer each.

        ``cancelled``: the job was cancelled under this lease; ``lost``: the token is no longer current for
        any other reason. Stop working then.
        """
        refs = [_lease(lease) for lease in validation.several(leases, "leases")]
        backend = await self._ready()
        answers = await backend.heartbeat(refs)
        return [
            LeaseState(job_id=ref.job_id, status=answer.status, expires_in=answer.expires_in / 1000)  # type: ignore[arg-type]  # one of the three
            for ref, answer in zip(refs, answers, strict=True)
        ]

    async def update(
        self,
        job_id: str,
        progress: float | None = None,
        message: str | None = None,
        *,
        lease_token: str | None = None,
    ) -> bool:
        """Report progress (0.0 to 1.0, never backwards) or a message of a live job.

        With ``lease_token`` it also renews the lease. False when the job is unknown or terminal, or the
        token is not current.
        """
        change = _report(job_id, progress, message, lease_token)
        return (await self._apply(change)).outcome in _DONE

    async def report(
        self, job_id: str, progress: float | None = None, message: str | None = None, *, lease_token: str
    ) -> LeaseState:
        """Do as ``update`` does for whoever holds the lease, and return how the lease stands.

        ``ok``: it was renewed for its own length, ``expires_in`` seconds. ``cancelled``: the job was
        cancelled under this lease; ``lost``: the token is no longer current for any other reason. Then
        nothing changes. Raises ``JobNotFound`` when no job has this id.
        """
        applied = await self._apply(_report(job_id, progress, message, lease_token))
        record = applied.record
        if record is None:
            raise JobNotFound(job_id)
        if applied.outcome is Outcome.OK:
            return LeaseState(job_id=job_id, status="ok", expires_in=record.lease / 1000)
        taken = is_cancelled(record.status, record.settled, lease_token)
        return LeaseState(job_id=job_id, status="cancelled" if taken else "lost")

    async def complete(
        self, job_id: str, results: dict[str, Any] | None = None, *, lease_token: str | None = None
    ) -> bool:
        """Finish a live job with ``results`` (a JSON object or None).

        False, and nothing changes, when the job is unknown or terminal, or the token is not current.
        """
        change = self._completion(job_id, results, lease_token)
        return (await self._apply(change)).outcome in _DONE

    async def fail(
        self,
        job_id: str,
        error: str,
        *,
        lease_token: str | None = None,
        type: str | None = None,
        traceback: str | None = None,
        retry: bool | None = None,
        retry_in: float | None = None,
    ) -> bool:
        """Count a failed attempt: the job backs off while attempts are left, else it is failed.

        ``retry=False`` fails it now, ``retry_in`` (seconds) sets the delay, else its policy decides.
        False, and nothing changes, when the job is unknown or terminal, or the token is not current.
        """
        failed = _failed(error, type, traceback, retry, retry_in)
        return (await self._fail(job_id, failed, lease_token)).outcome in _DONE

    async def release(self, job_id: str, *, lease_token: str, delay: float | None = None) -> bool:
        """Give a claimed job back unused: at its old place, or ready after ``delay`` seconds."""
        return (await self._apply(_release(job_id, lease_token, delay))).outcome in _DONE

    async def try_update(
        self,
        job_id: str,
        progress: float | None = None,
        message: str | None = None,
        *,
        lease_token: str | None = None,
    ) -> tuple[Outcome, Job | None]:
        """Do as ``update`` does, and return the outcome and the job afterwards."""
        return await self._change(_report(job_id, progress, message, lease_token))

    async def try_complete(
        self, job_id: str, results: dict[str, Any] | None = None, *, lease_token: str | None = None
    ) -> tuple[Outcome, Job | None]:
        """Do as ``complete`` does, and return the outcome and the job afterwards."""
        return await self._change(self._completion(job_id, results, lease_token))

    async def try_fail(
        self,
        job_id: str,
        error: str,
        *,
        lease_token: str | None = None,
        type: str | None = None,
        traceback: str | None = None,
        retry: bool | None = None,
        retry_in: float | None = None,
    ) -> tuple[Outcome, Job | None]:
        """Do as ``fail`` does, and return the outcome and the job afterwards."""
        failed = _failed(error, type, traceback, retry, retry_in)
        return shown(await self._fail(job_id, failed, lease_token))

    async def try_release(
        self, job_id: str, *, lease_token: str, delay: float | None = None
    ) -> tuple[Outcome, Job | None]:
        """Do as ``release`` does, and return the outcome and the job afterwards."""
        return await self._change(_release(job_id, lease_token, delay))

    def _completion(self, job_id: str, results: Any, lease_token: str | None) -> Transition:
        encoded = None if results is None else encode_object(results, "results", self._max_payload_bytes)
        return Transition.complete(job_id, encoded, self._retention, lease_token=lease_token)

    async def _fail(self, job_id: str, failed: Failed, lease_token: str | None) -> Applied:
        backend = await self._ready()
        while True:
            record = (await backend.get([job_id]))[0]
            if record is None:
                return Applied(Outcome.UNKNOWN, None)
            change = settle(failed, record, self._retention, self._rng, lease_token=lease_token)
            applied = await self._apply(change)
            if lease_token is not None or applied.outcome is not Outcome.STALE:
                return applied

    def _request(
        self, types: tuple[str, ...] | None, limit: int, lease: int, worker_id: str | None
    ) -> ClaimRequest:
        return ClaimRequest(types, limit, self._ids.lease_token(), lease, worker_id, self._retention)

    async def _claim_waiting(
        self,
        types: tuple[str, ...] | None,
        limit: int,
        lease: int,
        worker_id: str | None,
        patience: float,
    ) -> list[JobRecord]:
        backend = self._backend
        loop = asyncio.get_running_loop()
        ends = loop.time() + patience
        topics = [ANY_TYPE] if types is None else [type_topic(job_type) for job_type in types]
        with backend.watch(topics) as bell:
            while True:
                bell.clear()
                request = self._request(types, limit, lease, worker_id)
                claimed = await backend.claim_pending_jobs(request)
                left, due = ends - loop.time(), claimed.next_due
                if claimed.records or left <= 0:
                    return claimed.records
                soon = _LOOK_AGAIN if due is None else max(0.0, (due - backend.now()) / 1000)
                await bell.wait(min(left, soon, _LOOK_AGAIN))
                await self._ready()


def _report(job_id: str, progress: Any, message: Any, lease_token: str | None) -> Transition:
    checked = None if progress is None else validation.progress(progress)
    said = validation.optional_text(message, "message", validation.MAX_MESSAGE_LENGTH)
    return Transition.report(job_id, checked, said, lease_token=lease_token)


def _failed(error: Any, kind: Any, traceback: Any, retry: Any, retry_in: Any) -> Failed:
    name = validation.text("Error" if kind is None else kind, "type", 200)
    failure = AttemptFailure(
        validation.text(error, "error", validation.MAX_ERROR_LENGTH),
        name,
        validation.optional_text(traceback, "traceback", validation.MAX_TRACEBACK_LENGTH),
    )
    validation.flag(retry, "retry")
    delay = None if retry_in is None else validation.seconds(retry_in, "retry_in")
    return Failed(failure, (name,), retry, delay)


def _release(job_id: str, lease_token: str, delay: Any) -> Transition:
    pause = None if delay is None else millis(validation.seconds(delay, "delay"))
    return Transition.release(job_id, lease_token=lease_token, delay=pause)


def _lease(value: Any) -> LeaseRef:
    if not isinstance(value, (tuple, list)) or [type(part) for part in value] != [str, str]:
        msg = f"leases must hold pairs of job id and lease token, both strings, got {type(value).__name__}"
        raise TypeError(msg)
    return LeaseRef(*value)
