"""A backend that can go down: it wraps a real one and refuses every call while it is down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from jdobb_async_queue import BackendUnavailable, QueueBackend

_CALLS = sorted(QueueBackend.__abstractmethods__ - {"now", "watch"})


def _forward(name: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: FailingBackend, *args: Any, **options: Any) -> Any:
        self.called[name] = self.called.get(name, 0) + 1
        if self.down or name in self.refused:
            msg = "the backend is down"
            raise BackendUnavailable(msg)
        return await getattr(self.inner, name)(*args, **options)

    return call


class FailingBackend(QueueBackend):
    """``down`` switches the outage, ``refused`` are the names of calls that fail also without it.

    ``called`` counts the calls by name, also the refused ones.
    """

    name = "failing"

    def __init__(self, inner: QueueBackend) -> None:
        self.inner = inner
        self.down = False
        self.refused: frozenset[str] = frozenset()
        self.called: dict[str, int] = {}

    @property
    def durability(self) -> Any:
        return self.inner.durability

    def now(self) -> int:
        return self.inner.now()

    def watch(self, topics: Any) -> Any:
        return self.inner.watch(topics)

    locals().update({name: _forward(name) for name in _CALLS})
