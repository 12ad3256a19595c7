"""The settings of job types and the registry of workers, in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.base import QueueBackend
from jdobb_async_queue.backends.bells import CANCELLED, Bells
from jdobb_async_queue.backends.history import DAY
from jdobb_async_queue.records import TypeRecord

if TYPE_CHECKING:
    from jdobb_async_queue.records import JobRecord, WorkerBeat, WorkerRecord


class MemoryRegistry(QueueBackend):
    """The part of the memory backend that is not about jobs."""

    def __init__(self) -> None:
        self._bells = Bells()
        self._types: dict[str, TypeRecord] = {}
        self._workers: OrderedDict[str, WorkerRecord] = OrderedDict()
        """Latest sign of life last."""

    async def job_types(self) -> dict[str, TypeRecord]:
        """Return the settings of every job type that has any."""
        return dict(self._types)

    async def set_job_type(
        self, job_type: str, *, operator: bytes | None = None, published: bytes | None = None
    ) -> TypeRecord:
        """Replace a job type's settings."""
        known = self._type(job_type)
        return self._put_type(
            TypeRecord(
                job_type,
                known.operator if operator is None else operator,
                known.published if published is None else published,
                known.paused,
                known.pause_reason,
                known.pause_until,
            )
        )

    async def pause(self, job_type: str, *, until: int | None, reason: str | None) -> TypeRecord:
        """Stop claims of this type."""
        known = self._type(job_type)
        self._bells.ring_type(
            job_type
        )  # whoever waits for the end of an earlier pause looks when this one ends
        return self._put_type(
            TypeRecord(job_type, known.operator, known.published, True, reason, until)  # noqa: FBT003 - a dataclass field
        )

    async def resume(self, job_type: str) -> TypeRecord:
        """Allow claims of this type again."""
        known = self._type(job_type)
        if not known.paused:
            return known
        settings = self._put_type(TypeRecord(job_type, known.operator, known.published))
        self._bells.ring_type(job_type)
        return settings

    async def beat_worker(self, beat: WorkerBeat) -> str:
        """Refresh a worker's entry and return its directive."""
        now = self.now()
        worker = self._workers[beat.id] = beat.onto(self._workers.get(beat.id), now)
        self._workers.move_to_end(beat.id)
        self._forget_workers(now)
        return worker.directive

    async def worker(self, worker_id: str) -> WorkerRecord | None:
        """Return a registered worker."""
        return self._workers.get(worker_id)

    async def workers(self) -> list[WorkerRecord]:
        """Return the registered workers, latest started first."""
        return sorted(self._workers.values(), key=lambda worker: (-worker.started_at, worker.id))

    async def signal_worker(self, worker_id: str, directive: str) -> bool:
        """Set a worker's directive."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            self._workers[worker_id] = replace(worker, directive=directive)
            self._bells.ring(CANCELLED)
        return worker is not None

    async def remove_worker(self, worker_id: str) -> None:
        """Forget a worker."""
        self._workers.pop(worker_id, None)

    def _forget_workers(self, now: int) -> None:
        """Drop workers that have been silent for a day."""
        while self._workers and next(iter(self._workers.values())).last_heartbeat_at < now - DAY:
            self._workers.popitem(last=False)

    def _with_type(self, record: JobRecord) -> JobRecord:
        settings = self._types.get(record.job_type)
        if settings is None or (
            record.operator_settings is settings.operator and record.published_settings is settings.published
        ):
            return record
        seen = record.copy()
        seen.operator_settings, seen.published_settings = settings.operator, settings.published
        return seen

    def _type(self, job_type: str) -> TypeRecord:
        return self._types.get(job_type) or TypeRecord(job_type)

    def _put_type(self, settings: TypeRecord) -> TypeRecord:
        self._types[settings.job_type] = settings
        return settings

    def _is_paused(self, job_type: str, now: int) -> bool:
        settings = self._types.get(job_type)
        if settings is None or not settings.paused:
            return False
        return settings.pause_until is None or settings.pause_until > now
