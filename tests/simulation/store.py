"""The store of a simulation: a real memory backend that writes down what it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from chaos.history import Cancelled, Claimed, Deleted, Event, Renewed, Retried, Settled
from jdobb_async_queue.backends.base import (
    Applied,
    ClaimRequest,
    LeaseAnswer,
    LeaseRef,
)
from jdobb_async_queue.backends.base import (
    Claimed as ClaimAnswer,
)
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.models import Outcome
from jdobb_async_queue.transitions import Transition
from tests.simulation.loop import SimulatedLoop

START = 1_900_000_000_000
"""The store's clock at the beginning, in milliseconds since the epoch."""


class VirtualClock:
    """The clocks of the loop's virtual time."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def now(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return START + int(self._loop.time() * 1000)

    def monotonic(self) -> float:
        """Return seconds."""
        return self._loop.time()


class Store:
    """Executes calls on a backend, and records what they did at the instant at which they did it."""

    def __init__(self, backend: MemoryBackend, loop: SimulatedLoop, record: Callable[[Event], None]) -> None:
        self.backend = backend
        self._loop, self._record = loop, record

    async def execute(self, sender: str, name: str, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """Do a call for a process."""
        asked_at = self._loop.time()
        answer = await getattr(self.backend, name)(*args, **options)
        at = self._loop.time()
        match name:
            case "claim_pending_jobs":
                self._claimed(at, asked_at, sender, args[0], answer)
            case "apply":
                for change, applied in zip(args[0], answer, strict=True):
                    self._applied(at, asked_at, sender, change, applied)
            case "heartbeat":
                self._renewed(at, asked_at, args[0], answer)
            case "delete":
                for job_id, outcome in zip(args[0], answer, strict=True):
                    if outcome is Outcome.OK:
                        self._record(Deleted(at=at, asked_at=asked_at, job=job_id))
        return answer

    def _claimed(
        self, at: float, asked_at: float, sender: str, request: ClaimRequest, answer: ClaimAnswer
    ) -> None:
        for record in answer.records:
            self._record(
                Claimed(
                    at=at,
                    asked_at=asked_at,
                    job=record.id,
                    attempt=record.attempt,
                    token=record.lease_token or "",
                    worker=sender,
                    claimed_ms=record.started_at,
                    run_ms=record.run_at,
                    lease=request.lease / 1000,
                )
            )

    def _applied(self, at: float, asked_at: float, sender: str, change: Transition, answer: Applied) -> None:
        job_id, token = change.job_id, change.lease_token
        ok, repeated = answer.outcome is Outcome.OK, answer.outcome is Outcome.REPEATED
        match change.verb:
            case "complete" | "fail" | "release":
                self._record(
                    Settled(
                        at=at,
                        asked_at=asked_at,
                        job=job_id,
                        outcome=_outcome(change),
                        accepted=ok or repeated,
                        token=token,
                        worker=sender,
                        repeated=repeated,
                        results=None if change.results is None else json.loads(change.results),
                        final=change.verb == "fail" and change.status == "failed" and _is_final(change),
                    )
                )
            case "cancel":
                attempt = None if answer.record is None else answer.record.attempt
                self._record(Cancelled(at=at, asked_at=asked_at, job=job_id, accepted=ok, attempt=attempt))
            case "retry":
                self._record(Retried(at=at, asked_at=asked_at, job=job_id, accepted=ok))
            case "update" if ok and token is not None:
                self._record(Renewed(at=at, asked_at=asked_at, job=job_id, token=token))

    def _renewed(
        self, at: float, asked_at: float, refs: Sequence[LeaseRef], answers: Sequence[LeaseAnswer]
    ) -> None:
        for ref, answer in zip(refs, answers, strict=True):
            if ref.extend and answer.status == "ok":
                self._record(Renewed(at=at, asked_at=asked_at, job=ref.job_id, token=ref.token))


def _outcome(change: Transition) -> Any:
    if change.verb == "fail":
        return "failed" if change.status == "failed" else "retrying"
    return {"complete": "complete", "release": "released"}[change.verb]


def _is_final(change: Transition) -> bool:
    return change.failure is not None and change.failure.type == "FailNow"
