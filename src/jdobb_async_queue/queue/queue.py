"""``JobQueue``: the main interface of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.base import DEFAULT_NAMESPACE
from jdobb_async_queue.backends.urls import backend_of_url
from jdobb_async_queue.queue.consumer import Consumer
from jdobb_async_queue.queue.operator import Operator
from jdobb_async_queue.queue.producer import Producer
from jdobb_async_queue.queue.reader import Reader

if TYPE_CHECKING:
    import random
    from types import TracebackType

    from typing_extensions import Self

    from jdobb_async_queue.backends.base import QueueBackend

WEEK = 604_800.0
MEBIBYTE = 1_048_576


class JobQueue(Producer, Consumer, Reader, Operator):
    """A queue of jobs on memory or SQLite (Redis comes with a later release).

    It may be built without a running event loop; it connects at first use and belongs to that loop.

    ``backend`` is ``"memory"``, ``"sqlite"``, ``"redis"`` or a ``QueueBackend``; ``url`` says where
    (``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite:///:memory:``, ``redis://host:6379/0``).
    Two namespaces share nothing; a ``QueueBackend`` brings its own. ``default_ttl`` is for jobs without
    their own; ``lease`` is how many seconds a claim lasts unless renewed; ``retention`` how many seconds
    terminal jobs are kept (a number, None for ever, or a mapping by status); ``max_pending`` bounds each job
    type without its own limit.

    Raises ``ValueError`` for an unknown backend, a URL of another one, or a URL or namespace beside a
    ``QueueBackend``; ``ModuleNotFoundError`` naming the extra when a backend's driver is not installed.
    """

    def __init__(
        self,
        backend: str | QueueBackend = "memory",
        *,
        url: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        default_ttl: float | None = None,
        lease: float = 30.0,
        retention: float | dict[str, float | None] | None = WEEK,
        max_payload_bytes: int = MEBIBYTE,
        max_pending: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            backend,
            url=url,
            namespace=namespace,
            default_ttl=default_ttl,
            lease=lease,
            retention=retention,
            max_payload_bytes=max_payload_bytes,
            max_pending=max_pending,
            rng=rng,
        )

    @classmethod
    def from_url(cls, url: str, **options: Any) -> JobQueue:
        """Return the queue of a URL: its scheme names the backend. Options are the constructor's."""
        return cls(backend_of_url(url), url=url, **options)

    async def __aenter__(self) -> Self:
        await self._ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
