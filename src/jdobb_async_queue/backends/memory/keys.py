"""Idempotency keys in memory: bound to a job until their time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jdobb_async_queue.backends.memory.indexes import LazyHeap
from jdobb_async_queue.lifecycle import millis

if TYPE_CHECKING:
    from jdobb_async_queue.models import Idempotency


class Binding(NamedTuple):
    """What a key is bound to, and until when (ms since the epoch)."""

    fingerprint: str
    job_id: str
    expires_at: int


class IdempotencyKeys:
    """The keys by scope and name, and the order in which they end."""

    def __init__(self) -> None:
        self._bound: dict[tuple[str, str], Binding] = {}
        self._ends = LazyHeap(self._is_end, lambda: len(self._bound))

    def __len__(self) -> int:
        return len(self._bound)

    def find(self, idempotency: Idempotency, now: int) -> Binding | None:
        """Return what a key is bound to now."""
        bound = self._bound.get((idempotency.scope, idempotency.key))
        return None if bound is None or bound.expires_at <= now else bound

    def bind(self, idempotency: Idempotency, job_id: str, now: int) -> None:
        """Bind a key to a job."""
        scope, key = idempotency.scope, idempotency.key
        expires_at = now + millis(idempotency.keep)
        self._bound[scope, key] = Binding(idempotency.fingerprint, job_id, expires_at)
        self._ends.push((expires_at, scope, key))

    def forget(self, now: int, limit: int) -> None:
        """Drop up to ``limit`` keys whose time is over."""
        for _ in range(limit):
            first = self._ends.peek()
            if first is None or first[0] > now:
                return
            self._ends.pop()
            del self._bound[first[1], first[2]]

    def _is_end(self, entry: tuple[int, str, str]) -> bool:
        bound = self._bound.get((entry[1], entry[2]))
        return bound is not None and bound.expires_at == entry[0]
