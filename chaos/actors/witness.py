"""A backend that writes down what a worker asked of the store and what the store answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from chaos.history import Claimed, Event, Fault, Renewed, Settled, now
from chaos.history.jobs import LATE
from jdobb_async_queue import Outcome, QueueBackend

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import (
        Applied,
        ClaimRequest,
        LeaseAnswer,
        LeaseRef,
    )
    from jdobb_async_queue.backends.base import (
        Claimed as ClaimAnswer,
    )
    from jdobb_async_queue.backends.bells import Bell
    from jdobb_async_queue.transitions import Transition

_ACCEPTED = frozenset({Outcome.OK, Outcome.REPEATED})
_FINAL = frozenset({"FailNow", "InvalidResults"})
_PLAIN = sorted(
    QueueBackend.__abstractmethods__ - {"now", "watch", "claim_pending_jobs", "apply", "heartbeat"}
)


def _plain(name: str) -> Callable[..., Any]:
    async def call(self: Witness, *arguments: Any, **options: Any) -> Any:
        return await getattr(self.inner, name)(*arguments, **options)

    return call


def witness_of(
    inner: QueueBackend, write: Callable[[Event], None], worker: str, *, remote: str | None = None
) -> QueueBackend:
    """Return a backend that does what ``inner`` does and writes it down; see ``Witness``."""
    kind: Any = Witness  # its plain methods are made by name, which type checkers do not see
    made: QueueBackend = kind(inner, write, worker, remote=remote)
    return made


class Witness(QueueBackend):
    """Wraps the backend of one worker; all other calls pass as they are.

    Workers over HTTP that go through the same process write for themselves: their ids begin with ``remote``.
    """

    name = "witness"

    def __init__(
        self, inner: QueueBackend, write: Callable[[Event], None], worker: str, *, remote: str | None = None
    ) -> None:
        self.inner = inner
        self.namespace = inner.namespace
        self.idle_interval, self.flights = inner.idle_interval, inner.flights
        self._write, self._worker, self._remote = write, worker, remote
        self._attempts: dict[str, int] = {}
        """By token, of the claims that are not settled yet."""

    @property
    def durability(self) -> Any:
        """Return what the store promises."""
        return self.inner.durability

    @property
    def emptied(self) -> int:  # type: ignore[override]  # it is the store that counts
        """Return how often the store was found emptied."""
        return self.inner.emptied

    def now(self) -> int:
        """Return the store's clock."""
        return self.inner.now()

    def watch(self, topics: Sequence[str]) -> AbstractContextManager[Bell]:
        """Watch as the store does."""
        return self.inner.watch(topics)

    def lease_token(self) -> str:
        """Return a new token of the store."""
        return self.inner.lease_token()

    async def claim_pending_jobs(self, request: ClaimRequest) -> ClaimAnswer:
        """Claim, and write down what was got."""
        asked_at = now()
        claimed = await self.inner.claim_pending_jobs(request)
        at = now()
        is_remote = self._remote is not None and (request.worker_id or "").startswith(self._remote)
        for record in [] if is_remote else claimed.records:
            self._attempts[record.lease_token or ""] = record.attempt
            self._write(
                Claimed(
                    at=at,
                    asked_at=asked_at,
                    job=record.id,
                    attempt=record.attempt,
                    token=record.lease_token or "",
                    worker=self._worker,
                    claimed_ms=record.started_at,
                    run_ms=record.run_at,
                )
            )
        return claimed

    async def apply(self, changes: Sequence[Transition], *, records: bool = True) -> list[Applied]:
        """Apply, and write down what became of each change under a token."""
        asked_at = now()
        try:
            answers = await self.inner.apply(changes, records=records)
        except BaseException:
            for change in changes:
                self._settled(change, asked_at, None)
            raise
        for change, answer in zip(changes, answers, strict=True):
            if change.verb == "update" and change.lease_token and answer.outcome is Outcome.OK:
                self._write(Renewed(at=now(), asked_at=asked_at, job=change.job_id, token=change.lease_token))
            self._settled(change, asked_at, answer.outcome)
        return answers

    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        """Renew, and write down what was renewed, and when the store was late with it."""
        asked_at = now()
        try:
            answers = await self.inner.heartbeat(leases)
        finally:
            if now() - asked_at > LATE:
                self._write(Fault(at=asked_at, fault="cut", target=self._worker, until=now()))
                self._write(Fault(at=asked_at, fault="late answer", target=self._worker, until=now()))
        for ref, answer in zip(leases, answers, strict=True):
            if ref.extend and answer.status == "ok":
                self._write(Renewed(at=now(), asked_at=asked_at, job=ref.job_id, token=ref.token))
        return answers

    def _settled(self, change: Transition, asked_at: float, outcome: Outcome | None) -> None:
        if change.verb not in {"complete", "fail", "release"} or change.lease_token not in self._attempts:
            return
        word = {"complete": "complete", "release": "released"}.get(change.verb)
        if word is None:
            word = "failed" if change.status == "failed" else "retrying"
        attempt = self._attempts[change.lease_token]
        if outcome is not None:
            del self._attempts[change.lease_token]
        self._write(
            Settled(
                at=now(),
                asked_at=asked_at,
                job=change.job_id,
                outcome=word,  # type: ignore[arg-type]  # one of the four
                accepted=None if outcome is None else outcome in _ACCEPTED,
                token=change.lease_token,
                attempt=attempt,
                worker=self._worker,
                results=None if change.results is None else json.loads(change.results),
                final=change.failure is not None and change.failure.type in _FINAL,
                repeated=outcome is Outcome.REPEATED,
            )
        )

    locals().update({name: _plain(name) for name in _PLAIN})
