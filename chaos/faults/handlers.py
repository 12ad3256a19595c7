"""Handlers that behave badly. Each is enqueued like any other job."""

from __future__ import annotations

from typing import Any, ClassVar

from chaos.faults.base import PROCESSES, Fault
from chaos.history import Cancelled, now
from chaos.scene import Scene


class _Handler(Fault):
    family = "handler"
    undone = "by the queue"
    lane = PROCESSES
    job_type: ClassVar[str]
    fields: ClassVar[dict[str, Any]] = {}

    async def begin(self, scene: Scene) -> float | None:
        """Enqueue one."""
        self.target = await scene.client.post(self.job_type, priority="high", **self.fields)
        return 0.2


class Blocks(_Handler):
    """A handler that blocks the event loop."""

    name, what, job_type = (
        "handler-blocks",
        "a handler blocks the event loop for longer than a lease",
        "blocks",
    )


class Forks(_Handler):
    """A handler that forks."""

    name, what, job_type = "handler-forks", "a handler forks, and the child tries to use the queue", "forks"


class Hogs(_Handler):
    """A handler that exhausts memory."""

    name, what, job_type = "handler-hogs", "a handler asks for memory until the process has none left", "hogs"
    backends = frozenset({"sqlite", "redis"})  # where workers are processes of their own, with a limit


class Deaf(_Handler):
    """A handler that ignores its cancellation."""

    name, what, job_type = (
        "handler-deaf",
        "a handler that times out ignores its cancellation for a lease",
        "deaf",
    )
    fields = {"timeout": 0.3}  # noqa: RUF012 - it is never changed


class Dies(_Handler):
    """A handler that ends its process."""

    name, what, job_type = "handler-dies", "a handler ends its process, in each attempt", "dies"
    backends = frozenset({"sqlite", "redis"})


class Dozes(_Handler):
    """A worker over HTTP that does not renew its lease."""

    name, what, job_type = (
        "handler-dozes",
        "a worker over HTTP dozes until its lease is lost, and then completes",
        "remote",
    )
    fields = {"data": {"doze": True}}  # noqa: RUF012 - it is never changed

    async def begin(self, scene: Scene) -> float | None:
        """Enqueue one, and let the worker doze in peace."""
        await super().begin(scene)
        return scene.lease * 1.5


class Swallows(_Handler):
    """A handler that swallows CancelledError."""

    name, what = "handler-swallows", "a handler takes its cancellation for nothing and returns results"
    job_type = "swallows"

    async def begin(self, scene: Scene) -> float | None:
        """Enqueue one and cancel it."""
        await super().begin(scene)
        asked_at = now()
        answer = await scene.client.call("POST", f"/jobs/{self.target}/cancel", json={"reason": "no more"})
        attempt = answer.json()["attempt"] if answer.is_success else None
        scene.write(
            Cancelled(
                at=now(), asked_at=asked_at, job=self.target, accepted=answer.is_success, attempt=attempt
            )
        )
        return 0.0
