"""Handlers, declared apart from any queue."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel

from jdobb_async_queue import validation

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from jdobb_async_queue.retry import RetryPolicy

HandlerFunction = Callable[[Any], Awaitable["dict[str, Any] | None"]]
"""An async function of a ``JobContext``; it returns None or a JSON object."""
Lifespan = Callable[[], "AbstractAsyncContextManager[Any]"]
F = TypeVar("F", bound=HandlerFunction)


@dataclass(frozen=True, slots=True)
class Handler:
    """One job type's handler and what was declared with it; ``settings`` is published by workers."""

    job_type: str
    function: HandlerFunction
    data_model: type[BaseModel] | None = None
    settings: bytes | None = None

    @classmethod
    def declare(
        cls,
        job_type: str,
        function: Any,
        *,
        max_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        max_lost: int | None = None,
        data_model: Any = None,
    ) -> Handler:
        """Return the checked declaration. Raises ``TypeError`` or ``ValueError`` naming what is wrong."""
        validation.name(job_type, "job_type")
        if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__ is fine
        ):
            shown = getattr(function, "__qualname__", repr(function))
            msg = (
                f"the handler of {job_type!r} must be an async def function, got {shown};"
                " put blocking code into asyncio.to_thread"
            )
            raise TypeError(msg)
        schema = None
        if data_model is not None:
            if not (isinstance(data_model, type) and issubclass(data_model, BaseModel)):
                msg = f"data_model must be a pydantic model class, got {data_model!r}"
                raise TypeError(msg)
            schema = data_model.model_json_schema()
        settings = validation.job_settings(max_attempts, retry, timeout, max_lost, schema=schema)
        return cls(job_type, function, data_model, settings)


class RouterUser(Protocol):
    """What has included a router."""

    def refuse_known(self, job_type: str) -> None:
        """Raise ``ValueError`` for a job type that has a handler already."""

    def handlers_changed(self) -> None:
        """Take notice of a new handler."""


class JobRouter:
    """Handlers of some job types, to be included into workers.

    ``lifespan`` is an async context manager function, entered once per worker before its first claim and
    left after its last job; what it yields is ``ctx.state`` in this router's handlers.
    """

    def __init__(self, *, lifespan: Lifespan | None = None) -> None:
        self.lifespan = lifespan
        self._handlers: dict[str, Handler] = {}
        self._users: weakref.WeakSet[RouterUser] = weakref.WeakSet()

    @property
    def handlers(self) -> dict[str, Handler]:
        """Return the declared handlers by job type."""
        return dict(self._handlers)

    def handler(
        self,
        job_type: str,
        *,
        max_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        max_lost: int | None = None,
        data_model: type[BaseModel] | None = None,
    ) -> Callable[[F], F]:
        """Register the decorated ``async def`` as the handler of a job type.

        ``max_attempts`` wins over ``retry``'s; ``timeout`` is seconds for one attempt; ``data_model`` is a
        pydantic model that the payload must fit (``ctx.payload``).
        """

        def register(function: F) -> F:
            self.register_handler(
                job_type, function, max_attempts=max_attempts, retry=retry,
                timeout=timeout, max_lost=max_lost, data_model=data_model,
            )  # fmt: skip
            return function

        return register

    def register_handler(
        self,
        job_type: str,
        function: HandlerFunction,
        *,
        max_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        max_lost: int | None = None,
        data_model: type[BaseModel] | None = None,
    ) -> None:
        """Register a handler.

        A second one for a job type raises ``ValueError``, a plain ``def`` raises ``TypeError``.
        """
        declared = Handler.declare(
            job_type, function, max_attempts=max_attempts, retry=retry,
            timeout=timeout, max_lost=max_lost, data_model=data_model,
        )  # fmt: skip
        if job_type in self._handlers:
            msg = f"job type {job_type!r} already has a handler"
            raise ValueError(msg)
        for user in self._users:
            user.refuse_known(job_type)
        self._handlers[job_type] = declared
        for user in self._users:
            user.handlers_changed()

    def used_by(self, user: RouterUser) -> None:
        """Ask ``user`` before each later registration, and tell it afterwards, for as long as it lives."""
        self._users.add(user)
