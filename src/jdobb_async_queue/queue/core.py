"""What all parts of a queue share: its backend, its options, and its life from first use to close."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jdobb_async_queue import validation
from jdobb_async_queue.backends.base import QueueBackend
from jdobb_async_queue.backends.urls import make_backend
from jdobb_async_queue.clock import Ids, system_random
from jdobb_async_queue.errors import QueueClosed
from jdobb_async_queue.records import Retention
from jdobb_async_queue.views import job_view

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import Applied
    from jdobb_async_queue.models import Job, Outcome
    from jdobb_async_queue.transitions import Transition


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """What workers and watchers of a queue share with it. ``lease`` is milliseconds."""

    lease: int
    retention: Retention
    max_payload_bytes: int
    rng: random.Random
    ids: Ids


class QueueCore:
    """The backend and the options; connects at first use, belongs to the event loop of that use."""

    def __init__(
        self,
        backend: str | QueueBackend,
        *,
        url: str | None,
        namespace: str,
        default_ttl: float | None,
        lease: float,
        retention: Any,
        max_payload_bytes: int,
        max_pending: int | None,
        rng: random.Random | None,
    ) -> None:
        self._rng = rng or system_random()
        self._lease = validation.lease_ms(lease)
        self._retention = validation.retention(retention)
        self._backend = make_backend(backend, url, namespace, self._rng)
        validation.name(self._backend.namespace, "namespace")
        self._ids = Ids(_BackendClock(self._backend), self._rng)
        self._new_jobs = validation.NewJobs(
            self._ids,
            default_ttl=default_ttl,
            max_payload_bytes=max_payload_bytes,
            max_pending=max_pending,
        )
        self._max_payload_bytes = max_payload_bytes
        self.options = QueueOptions(self._lease, self._retention, max_payload_bytes, self._rng, self._ids)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Lock | None = None
        self._opened = self._closed = False

    @property
    def backend(self) -> QueueBackend:
        """Return the backend that this queue stands on."""
        return self._backend

    @property
    def namespace(self) -> str:
        """Return the queue's namespace: two namespaces share nothing."""
        return self._backend.namespace

    @property
    def is_closed(self) -> bool:
        """Tell whether ``close`` was called."""
        return self._closed

    async def open(self) -> None:
        """Connect now instead of at the first call. Idempotent.

        Raises ``BackendUnavailable`` when the store cannot be reached.
        """
        await self._ready()

    async def close(self) -> None:
        """Let go of the backend. Idempotent; every later call raises ``QueueClosed``."""
        if self._closed:
            return
        self._closed = True
        if self._opening is not None:
            async with self._opening:
                await self._backend.close()

    async def _ready(self) -> QueueBackend:
        if self._closed:
            msg = "the queue is closed"
            raise QueueClosed(msg)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                msg = "a JobQueue belongs to the event loop of its first call; build one for each loop"
                raise RuntimeError(msg)
            self._loop, self._opening = loop, asyncio.Lock()
        if not self._opened:
            await self._open()
        return self._backend

    async def _apply(self, change: Transition) -> Applied:
        backend = await self._ready()
        return (await backend.apply([change]))[0]

    async def _change(self, change: Transition) -> tuple[Outcome, Job | None]:
        return shown(await self._apply(change))

    async def _open(self) -> None:
        if self._opening is None:
            return
        async with self._opening:
            if self._closed:
                msg = "the queue is closed"
                raise QueueClosed(msg)
            if not self._opened:
                await self._backend.open()
                self._opened = True


def shown(applied: Applied) -> tuple[Outcome, Job | None]:
    """Return what became of a change as users see it: the outcome, and the job afterwards."""
    return applied.outcome, None if applied.record is None else job_view(applied.record)


class _BackendClock:
    """The backend's wall clock, for ids."""

    def __init__(self, backend: QueueBackend) -> None:
        self.now = backend.now

    def monotonic(self) -> float:
        return self.now() / 1000
