"""Which job types this process knows, and what their payloads must look like."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from jdobb_async_queue import JobQueue, JobRouter
from jdobb_service.payload_schema import MAX_BYTES, MOST, QUICK, Path, PayloadSchema, TooLong, UnusableSchema
from jdobb_service.problems import Problem, invalid, pointer
from jdobb_service.strict_json import refused

_FRESH = 1.0

log = structlog.get_logger("jdobb_service.job_types")


class JobTypes:
    """The job types with a handler here, and those that a worker published or an operator created.

    A payload is checked by the handler's ``data_model``; where that is not loaded, by the schema that a
    worker published or an operator set. A ``closed`` deployment refuses other job types, also those that
    have jobs. What other processes store is noticed within a second.
    """

    def __init__(self, queue: JobQueue, routers: Sequence[JobRouter], *, closed: bool) -> None:
        self._queue, self._routers, self._closed = queue, routers, closed
        self._models: dict[str, type[BaseModel] | None] = {}
        self._stored: frozenset[str] = frozenset()
        self._schemas: dict[str, _Stored] = {}
        self._reading: asyncio.Task[None] | None = None
        self._changes = self._known_changes = 0
        self._fresh_until = float("-inf")
        for router in routers:
            router.used_by(self)
        self.handlers_changed()

    async def check(self, job_type: str, data: dict[str, Any]) -> None:
        """Refuse a job that no handler could take. Raises ``Problem``: unknown-job-type, validation."""
        model = self._models.get(job_type)
        if model is not None:
            _check_payload(model, data)
            return
        await self._refresh()
        if self._closed and job_type not in self._models and job_type not in self._stored:
            raise Problem("unknown-job-type")
        stored = self._schemas.get(job_type)
        usable = None if stored is None else await stored.usable(job_type)
        if usable is not None:
            await _check_by(usable, data)

    async def check_schema(self, schema: dict[str, Any]) -> None:
        """Refuse a schema that no payload could be checked by. Raises ``Problem``: validation."""
        size = len(to_json(schema))
        if size > MAX_BYTES:
            raise invalid(pointer("schema"), f"is {size} bytes of JSON; at most {MAX_BYTES} are taken")
        try:
            await asyncio.to_thread(PayloadSchema, schema)
        except UnusableSchema as error:
            raise invalid(pointer("schema", *error.path), error.detail) from None

    def described(self, job_type: dict[str, Any]) -> dict[str, Any]:
        """Return a described job type with the schema that this process checks payloads by."""
        model = self._models.get(job_type["job_type"])
        return job_type if model is None else {**job_type, "schema": model.model_json_schema()}

    def changed(self) -> None:
        """Read what is stored anew before the next check."""
        self._changes += 1
        self._fresh_until = float("-inf")

    async def _refresh(self) -> None:
        """Read what is stored unless that is fresh; who comes meanwhile shares the reading and its fate."""
        changes = self._changes
        now = asyncio.get_running_loop().time
        while now() >= self._fresh_until:
            if self._reading is None:
                self._reading = asyncio.ensure_future(self._read())
                self._reading.add_done_callback(self._end_reading)
            await asyncio.shield(self._reading)
            if self._known_changes >= changes:
                return

    async def _read(self) -> None:
        began, changes = asyncio.get_running_loop().time(), self._changes
        stored = frozenset(await self._queue.backend.job_types()) if self._closed else self._stored
        self._schemas = {
            info.job_type: self._kept(info.job_type, info.payload_schema)
            for info in await self._queue.job_types()
            if info.payload_schema is not None
        }
        self._stored, self._known_changes = stored, changes
        if changes == self._changes:
            self._fresh_until = began + _FRESH

    def _kept(self, job_type: str, schema: dict[str, Any]) -> _Stored:
        """Return the schema as it is known, if it is the same: making it ready takes time."""
        known = self._schemas.get(job_type)
        return known if known is not None and known.schema == schema else _Stored(schema)

    def _end_reading(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # those who waited have it; nobody may be left

    def refuse_known(self, job_type: str) -> None:
        """Refuse nothing: the worker that runs the handlers does."""

    def handlers_changed(self) -> None:
        """Read the routers' handlers anew."""
        self._models = {
            job_type: handler.data_model
            for router in self._routers
            for job_type, handler in router.handlers.items()
        }


class _Stored:
    """A stored schema, made ready at its first use. One that cannot be used is left to the worker."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._usable: PayloadSchema | None = None
        self._is_tried = False
        self._trying = asyncio.Lock()

    async def usable(self, job_type: str) -> PayloadSchema | None:
        async with self._trying:
            if not self._is_tried:
                try:
                    self._usable = await asyncio.to_thread(PayloadSchema, self.schema)
                except UnusableSchema as error:
                    place = pointer(*error.path)
                    log.warning("schema not usable", job_type=job_type, place=place, reason=error.detail)
                self._is_tried = True
        return self._usable


async def _check_by(schema: PayloadSchema, data: dict[str, Any]) -> None:
    """Check a payload; a long check goes on beside the event loop."""
    try:
        places = schema.places(data, QUICK)
    except TooLong:
        places = await _patiently(schema, data)
    if places:
        errors = [{"pointer": pointer("data", *path), "detail": detail} for path, detail in places]
        raise Problem("validation", errors=errors)


async def _patiently(schema: PayloadSchema, data: dict[str, Any]) -> list[tuple[Path, str]]:
    try:
        return await asyncio.to_thread(schema.places, data, MOST)
    except TooLong:
        raise invalid(pointer("data"), "is too large to be checked by the schema of its job type") from None


def _check_payload(model: type[BaseModel], data: dict[str, Any]) -> None:
    try:
        model.model_validate(data)
    except ValidationError as error:
        raise refused(error, "data") from None
