"""The orders and filters of lists, for backends that keep whole records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import ListQuery


class Listed(Protocol):
    """What a list is sorted and filtered by; a record has all of it."""

    @property
    def seq(self) -> int:
        """The enqueue order."""

    @property
    def status(self) -> str:
        """The status."""

    @property
    def job_type(self) -> str:
        """The job type."""

    @property
    def priority(self) -> int:
        """The weight that claims sort by."""

    @property
    def created_at(self) -> int:
        """When it was enqueued."""

    @property
    def run_at(self) -> int:
        """When it becomes ready."""

    @property
    def started_at(self) -> int | None:
        """When its latest attempt started."""

    @property
    def completed_at(self) -> int | None:
        """When it became terminal."""

    @property
    def metadata(self) -> bytes:
        """The metadata, as JSON."""


def sort_key(record: Listed, query: ListQuery) -> tuple[int, ...]:
    """Return what the list is sorted by, ascending; it tells jobs apart and makes the cursor."""
    return order_key(record, query.status)


def order_key(record: Listed, status: str | None) -> tuple[int, ...]:
    """Return what the list of a status is sorted by; that of all jobs (None) begins with the newest."""
    if status is None:
        return (-record.seq,)
    if status == "pending":
        return (-record.priority, record.run_at, record.seq)
    if status == "processing":
        return (-(record.started_at or 0), -record.seq)
    return (-(record.completed_at or 0), -record.seq)


def matches(record: Listed, query: ListQuery) -> bool:
    """Tell whether the filters keep this job."""
    if query.statuses is not None and record.status not in query.statuses:
        return False
    if query.job_types is not None and record.job_type not in query.job_types:
        return False
    if query.created_after is not None and record.created_at <= query.created_after:
        return False
    if query.created_before is not None and record.created_at >= query.created_before:
        return False
    return not query.metadata or has_metadata(record.metadata, query.metadata)


def has_metadata(encoded: bytes, wanted: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether the metadata has each wanted key with that value; numbers and booleans as JSON text."""
    metadata = json.loads(encoded)
    for key, value in wanted:
        if key not in metadata:
            return False
        found = metadata[key]
        if value != (found if isinstance(found, str) else json.dumps(found)):
            return False
    return True
