"""Which handlers a worker has, which job types it therefore claims, and what it publishes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.router import JobRouter
from jdobb_async_queue.worker.shift import Bound

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from jdobb_async_queue.backends.base import QueueBackend
    from jdobb_async_queue.router import Lifespan


class HandlerTable:
    """The handlers of a worker's own router and of those that it includes; at most one per job type.

    Handlers may be added at any time; ``on_change`` is called then.
    """

    def __init__(self, job_types: tuple[str, ...] | None, lifespan: Lifespan | None) -> None:
        self._job_types = job_types
        self.own = JobRouter(lifespan=lifespan)
        self._routers: list[JobRouter] = []
        self._states: dict[JobRouter, Any] = {}
        self._bound: dict[str, Bound] = {}
        self._published: dict[str, bytes] = {}
        self._emptied = 0
        self._warned: set[str] = set()
        self.claimable: tuple[str, ...] = ()
        self.on_change: Callable[[], None] = lambda: None
        self.include(self.own)

    def include(self, router: JobRouter) -> None:
        """Take over a router's handlers, also those that it gets later."""
        for job_type in router.handlers:
            self.refuse_known(job_type)
        self._routers.append(router)
        router.used_by(self)
        self.handlers_changed()

    def refuse_known(self, job_type: str) -> None:
        """Raise ``ValueError`` for a job type that has a handler already."""
        if job_type in self._bound:
            msg = f"job type {job_type!r} already has a handler"
            raise ValueError(msg)

    def bound(self, job_type: str) -> Bound | None:
        """Return the handler of a job type with its router's state."""
        return self._bound.get(job_type)

    async def enter(self, stack: AsyncExitStack) -> None:
        """Enter the routers' lifespans; they are left when ``stack`` is."""
        for router in self._routers:
            if router.lifespan is not None:
                self._states[router] = await stack.enter_async_context(router.lifespan())
        self.handlers_changed()

    def leave(self) -> None:
        """Forget what the lifespans yielded, and what was published."""
        self._states.clear()
        self._published.clear()
        self.handlers_changed()

    async def publish(self, backend: QueueBackend) -> None:
        """Publish the settings of the claimable handlers where they differ from what is stored."""
        if self._emptied != backend.emptied:
            self._emptied = backend.emptied
            self._published.clear()
        if self._published.keys() >= set(self.claimable):
            return
        mine = {
            job_type: self._bound[job_type].handler.settings or b"{}"
            for job_type in self.claimable
            if job_type not in self._published
        }
        stored = await backend.job_types()
        for job_type, settings in mine.items():
            known = stored.get(job_type)
            if known is None or known.published != settings:
                await backend.set_job_type(job_type, published=settings)
            self._published[job_type] = settings

    def missing(self) -> list[facts.HandlerMissing]:
        """Return the job types named for claiming that nothing handles; each once."""
        named = set(self._job_types or ()) - set(self._bound) - self._warned
        self._warned |= named
        return [facts.HandlerMissing(job_type) for job_type in sorted(named)]

    def handlers_changed(self) -> None:
        """Bind the handlers anew, and say so."""
        self._bound = {
            job_type: Bound(handler, self._states.get(router))
            for router in self._routers
            for job_type, handler in router.handlers.items()
        }
        named = self._bound if self._job_types is None else self._job_types
        self.claimable = tuple(job_type for job_type in named if job_type in self._bound)
        self.on_change()
