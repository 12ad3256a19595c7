"""What the loops of one run of a worker share."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.instrumentation import facts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from jdobb_async_queue.backends.base import QueueBackend
    from jdobb_async_queue.clock import Clock
    from jdobb_async_queue.instrumentation.facts import Listener
    from jdobb_async_queue.queue.core import QueueOptions
    from jdobb_async_queue.records import JobRecord
    from jdobb_async_queue.router import Handler
    from jdobb_async_queue.transitions import Transition
    from jdobb_async_queue.worker.pulse import Pulse

logger = logging.getLogger("jdobb_async_queue")

LOST, CANCELLED, SHUTDOWN, TIMEOUT = "lost", "cancelled", "shutdown", "timeout"


@dataclass(frozen=True, slots=True)
class Bound:
    """A handler together with what its router's lifespan yielded."""

    handler: Handler
    state: Any


@dataclass(slots=True, eq=False)
class Execution:
    """One claimed job in a slot, from its claim until it is settled.

    ``deadline`` is when the lease runs out by the worker's own monotonic clock, counted from before the
    claim was sent. ``stop_reason`` says why the handler was cancelled; the first reason stays.
    """

    record: JobRecord
    token: str
    lease: float
    """Seconds."""
    deadline: float
    expires_at: int
    """When it runs out by the backend's clock, in milliseconds, as far as is known."""
    task: asyncio.Task[Any] | None = None
    started: float = 0.0
    stop_reason: str | None = None
    reports: list[Transition] = field(default_factory=list)
    """Progress and lines that wait to be published, in order."""
    reported: float = float("-inf")
    """When the last progress was published, by the monotonic clock."""
    settling: bool = False
    """The outcome is known and waits to be stored."""
    settled: bool = False
    """The outcome is stored, or refused."""
    ended: bool = False
    """The handler has ended."""
    gone: bool = False
    """The lease was taken away: there is nothing to renew any more, whatever the outcome waits for."""
    on_stop: Callable[[Execution], None] | None = None

    @property
    def keeps_lease(self) -> bool:
        """Tell whether the lease is still wanted: until the outcome is stored, or nobody may store one."""
        return not self.settled and not self.gone

    def lose(self, reason: str) -> None:
        """Renew the lease no more, and cancel the handler if it still runs."""
        self.gone = True
        self.stop(reason)

    def stop(self, reason: str) -> None:
        """Cancel the handler, once, for the first reason given."""
        if self.stop_reason is None and not self.settling:
            self.stop_reason = reason
            if self.on_stop is not None:
                self.on_stop(self)
            if self.task is not None:
                self.task.cancel()


class Slots:
    """The jobs that a worker runs; a slot is taken from the claim until the job is settled.

    While the outcome of a job whose handler has ended is on its way to be stored, its slot counts as free:
    the claim that fills it can leave in the same call. So handlers never outnumber the slots.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken: dict[str, Execution] = {}
        self._leaving: set[str] = set()
        self._tasks: dict[asyncio.Task[Any], Execution] = {}
        self._listeners: list[Callable[[], None]] = []
        self._takers: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def free(self) -> int:
        """Return how many more jobs may be claimed."""
        return self.size - len(self._taken) + len(self._leaving)

    @property
    def executions(self) -> list[Execution]:
        """Return what runs or waits to be settled."""
        return list(self._taken.values())

    def on_free(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever a slot becomes free."""
        self._listeners.append(listener)

    def on_take(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever a slot is taken."""
        self._takers.append(listener)

    def take(self, execution: Execution) -> None:
        """Occupy a slot."""
        self._taken[execution.token] = execution
        for listener in self._takers:
            listener()

    def run_in(self, task: asyncio.Task[Any] | None, execution: Execution) -> None:
        """Remember which task runs an execution, before it does; also where tasks begin at once."""
        if task is not None:
            execution.task = task
            self._tasks[task] = execution

    def leave(self, executions: Iterable[Execution]) -> None:
        """Count slots as free whose jobs are being settled."""
        self._leaving.update(item.token for item in executions if item.ended and item.token in self._taken)
        for listener in self._listeners if self._leaving else ():
            listener()

    def stay(self) -> None:
        """Count those as taken again that were not settled after all."""
        self._leaving.clear()

    def give_back(self, execution: Execution) -> None:
        """Free the slot of a job that is settled or lost and whose handler has ended."""
        self._leaving.discard(execution.token)
        if self._taken.pop(execution.token, None) is not None:
            if execution.task is not None:
                self._tasks.pop(execution.task, None)
            for listener in self._listeners:
                listener()

    def of_task(self, task: asyncio.Task[Any] | None) -> Execution | None:
        """Return what a task executes."""
        return None if task is None else self._tasks.get(task)


@dataclass(slots=True, eq=False)
class Shift:
    """One run of a worker: where its jobs come from, and what it knows and owns."""

    worker_id: str
    backend: QueueBackend
    options: QueueOptions
    clock: Clock
    slots: Slots
    poll_interval: float
    claimable: Callable[[], tuple[str, ...]]
    """The job types to claim at this moment."""
    bound: Callable[[str], Bound | None]
    """The handler of a job type."""
    publish: Callable[[], Awaitable[None]]
    """Stores the settings of handlers that have not been published yet."""
    listeners: list[Listener]
    pulse: Pulse
    quiet: bool = False
    leaving: bool = False
    """The run is being cancelled: a handler that is cancelled now does not fail, it stops."""
    released: int = 0

    def tell(self, fact: facts.Fact) -> None:
        """Tell a fact to whoever listens."""
        for listener in self.listeners:
            try:
                listener(fact)
            except Exception:
                logger.exception("a listener failed on %r", fact)
