"""What a handler is given."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from jdobb_async_queue import validation
from jdobb_async_queue.encoding import decode_object
from jdobb_async_queue.errors import LeaseLost
from jdobb_async_queue.views import job_view
from jdobb_async_queue.worker.shift import CANCELLED, LOST

if TYPE_CHECKING:
    from jdobb_async_queue.models import Job
    from jdobb_async_queue.worker.reporter import Reporter
    from jdobb_async_queue.worker.shift import Execution

_OVER = frozenset({CANCELLED, LOST})


class JobContext:
    """One attempt of one job, as its handler sees it.

    ``payload`` is the validated ``data_model`` (None without one); ``state`` is what the lifespan yielded.
    """

    def __init__(self, execution: Execution, reporter: Reporter, state: Any) -> None:
        self._execution = execution
        self._reporter = reporter
        self.state = state
        self.payload: Any = None

    @property
    def id(self) -> str:
        """Return the job's id."""
        return self._execution.record.id

    @property
    def job_type(self) -> str:
        """Return the job's type."""
        return self._execution.record.job_type

    @property
    def attempt(self) -> int:
        """Return which attempt this is, 1 for the first."""
        return self._execution.record.attempt

    @cached_property
    def data(self) -> dict[str, Any]:
        """Return the job's data."""
        return decode_object(self._execution.record.data)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Return the job's metadata."""
        return decode_object(self._execution.record.metadata)

    @cached_property
    def job(self) -> Job:
        """Return the job as it was claimed, with its lease token."""
        return job_view(self._execution.record, claimed=True)

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the handler was told to stop (cancelled, timed out, lease lost, or shutting down)."""
        return self._execution.stop_reason is not None

    async def update(self, progress: float | None = None, message: str | None = None) -> None:
        """Report progress (0.0 to 1.0, never backwards) and a message.

        Cheap in a tight loop: at most about 20 updates per second are published, the latest wins and the
        last is always delivered. Raises ``LeaseLost`` when the attempt is not the current one any more,
        ``ValueError`` or ``TypeError`` for what is no progress or text.
        """
        checked = None if progress is None else validation.progress(progress)
        said = validation.optional_text(message, "message", validation.MAX_MESSAGE_LENGTH)
        self._check()
        await self._reporter.report(self._execution, checked, said)

    async def log(self, text: str) -> None:
        """Publish a line of text; every line is kept with the job's updates and streamed.

        Raises ``LeaseLost`` when the attempt is not the current one any more.
        """
        line = validation.text(text, "text", validation.MAX_MESSAGE_LENGTH)
        self._check()
        await self._reporter.log(self._execution, line)
        self._check()

    def _check(self) -> None:
        if self._execution.stop_reason in _OVER:
            msg = f"the lease of job {self.id!r} is no longer held ({self._execution.stop_reason})"
            raise LeaseLost(msg)
