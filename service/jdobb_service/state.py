"""What one application holds while it lives: its queue, its worker, its limits. No module keeps any of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from jdobb_async_queue import BackendUnavailable, Broadcaster, JobQueue, JobRouter, Worker
from jdobb_service.closing import Closing
from jdobb_service.job_types import JobTypes
from jdobb_service.logs import bind_job
from jdobb_service.maintenance import Maintenance
from jdobb_service.metrics import Metrics
from jdobb_service.security import Guard
from jdobb_service.settings import Settings
from jdobb_service.signing import Signer
from jdobb_service.slots import Slots
from jdobb_service.supervisor import Supervisor

_PATIENCE = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0

log = structlog.get_logger("jdobb_service")


class ServiceState:
    """The parts of one application, put together from its settings and routers.

    A ``queue`` of your own is used instead of a new one and stays open. Raises ``ValueError`` when two
    routers have a handler for one job type.
    """

    def __init__(
        self, settings: Settings, routers: Sequence[JobRouter], queue: JobQueue | None = None
    ) -> None:
        self.settings = settings
        self.closing = Closing()
        self.queue = make_queue(settings) if queue is None else queue
        self._owns_queue = queue is None
        self.broadcaster = Broadcaster(self.queue)
        self.signer = Signer(settings.signing_secret)
        self.guard = Guard(settings.keys(), self.signer, allow_anonymous=settings.allow_anonymous)
        self.job_types = JobTypes(self.queue, routers, closed=settings.closed_job_types)
        self.streams = Slots(settings.max_streams, settings.max_streams_per_caller)
        self.waits = Slots(settings.max_streams)
        handled = [job_type for router in routers for job_type in router.handlers]
        self.metrics = Metrics(handled, backend=self.queue.backend.name)
        self.maintenance = Maintenance(self.queue, self.metrics, self.closing, is_done=lambda: self.runs_jobs)
        self.started = False
        self.supervisor: Supervisor | None = None
        if settings.workers and any(router.handlers for router in routers):
            self.supervisor = Supervisor(
                lambda: _make_worker(self.queue, settings, routers, self.metrics),
                grace=settings.shutdown_grace,
                closing=self.closing,
            )

    @property
    def runs_jobs(self) -> bool:
        """Tell whether a worker of this process runs now."""
        return self.supervisor is not None and self.supervisor.running

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the queue and run the worker beside the block; drain and close when it is left."""
        with self.closing.watch_signals():
            await self.open()
            try:
                async with contextlib.AsyncExitStack() as stack:
                    await stack.enter_async_context(self.maintenance.running())
                    if self.supervisor is not None:
                        await stack.enter_async_context(self.supervisor.running_until_closed())
                    self.started = True
                    yield
            finally:
                self.closing.set()
                if self._owns_queue:
                    await self.queue.close()

    async def open(self) -> None:
        """Connect to the backend; a server that does not answer is tried again for half a minute.

        A file is there or is not. Raises ``BackendUnavailable`` when it still does not, or the process
        closes meanwhile.
        """
        loop = asyncio.get_running_loop()
        patience = 0.0 if self.queue.backend.name == "sqlite" else _PATIENCE
        ends, pause = loop.time() + patience, _FIRST_PAUSE
        while True:
            try:
                await self.queue.open()
            except BackendUnavailable as error:
                if self.closing.is_set or loop.time() + pause > ends:
                    raise
                log.warning("backend unavailable", error=str(error), retry_in=pause)
            else:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.closing.wait(), pause)
            pause = min(_LONGEST_PAUSE, pause * 2)


def make_queue(settings: Settings) -> JobQueue:
    """Return the queue that the settings describe, not yet connected."""
    return JobQueue.from_url(
        settings.backend_url,
        namespace=settings.namespace,
        lease=settings.lease,
        retention=settings.retention,
        default_ttl=settings.default_ttl,
        max_payload_bytes=settings.max_payload_bytes,
        max_pending=settings.max_pending,
    )


def _make_worker(
    queue: JobQueue, settings: Settings, routers: Sequence[JobRouter], metrics: Metrics
) -> Worker:
    worker = Worker(queue, max_concurrent=settings.max_concurrent, shutdown_grace=settings.shutdown_grace)
    for router in routers:
        worker.include_router(router)
    worker.add_listener(bind_job)
    worker.add_listener(metrics.observe)
    return worker
