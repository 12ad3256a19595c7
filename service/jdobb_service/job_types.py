"""Which job types this process knows, and what their payloads must look like."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from jdobb_async_queue import JobQueue, JobRouter
from jdobb_service.problems import Problem
from jdobb_service.strict_json import refused

_FRESH = 1.0


class JobTypes:
    """The job types with a handler here, and those that a worker published or an operator created.

    A payload is checked by the handler's ``data_model``. A ``closed`` deployment refuses other job types,
    also those that have jobs; what other processes publish is noticed within a second.
    """

    def __init__(self, queue: JobQueue, routers: Sequence[JobRouter], *, closed: bool) -> None:
        self._queue, self._routers, self._closed = queue, routers, closed
        self._models: dict[str, type[BaseModel] | None] = {}
        self._stored: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        for router in routers:
            router.used_by(self)
        self.handlers_changed()

    async def check(self, job_type: str, data: dict[str, Any]) -> None:
        """Refuse a job that no handler could take. Raises ``Problem``: unknown-job-type, validation."""
        model = self._models.get(job_type)
        if model is not None:
            _check_payload(model, data)
        elif self._closed and job_type not in self._models and not await self._is_stored(job_type):
            raise Problem("unknown-job-type")

    async def _is_stored(self, job_type: str) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._read_at > _FRESH:
            self._read_at = now
            self._stored = frozenset(await self._queue.backend.job_types())
        return job_type in self._stored

    def refuse_known(self, job_type: str) -> None:
        """Refuse nothing: the worker that runs the handlers does."""

    def handlers_changed(self) -> None:
        """Read the routers' handlers anew."""
        self._models = {
            job_type: handler.data_model
            for router in self._routers
            for job_type, handler in router.handlers.items()
        }


def _check_payload(model: type[BaseModel], data: dict[str, Any]) -> None:
    try:
        model.model_validate(data)
    except ValidationError as error:
        raise refused(error, "data") from None
