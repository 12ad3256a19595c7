"""What can be read of a queue, and what the model says of the same, in the same words."""

from __future__ import annotations

from typing import Any

from jdobb_async_queue import Broadcaster, HistoryPoint, Job, JobQueue, JobUpdate
from tests.model import reference
from tests.model.reference import MINUTE, Model

_FIGURES = ("enqueued", "started", "complete", "failed", "cancelled", "retried")


def at(instant: Any) -> int | None:
    """Return a datetime as milliseconds since the epoch."""
    return None if instant is None else round(instant.timestamp() * 1000)


def shown(job: Job) -> dict[str, Any]:
    """Return all that a job says of itself, but for its version."""
    assert job.lease_token is None
    assert job.lease_expires_at is None
    return {
        "job_type": job.job_type,
        "data": job.data,
        "metadata": job.metadata,
        "status": job.status.value,
        "priority": job.priority.value,
        "progress": job.progress,
        "message": job.message,
        "results": job.results,
        "error": _brief(job.error),
        "errors": tuple(
            (each.attempt, each.type, None if each.type == "LeaseLost" else each.message, at(each.at))
            for each in job.errors
        ),
        "attempt": job.attempt,
        "failures": job.failures,
        "losses": job.losses,
        "max_attempts": job.max_attempts,
        "max_lost": job.max_lost,
        "timeout": job.timeout,
        "ttl": reference.millis(job.ttl),
        "run_at": at(job.run_at),
        "created": at(job.created_at),
        "updated": at(job.updated_at),
        "started": at(job.started_at),
        "completed": at(job.completed_at),
        "unique_key": job.unique_key,
        "worker": job.worker_id,
    }


def jobs(model: Model) -> dict[str, dict[str, Any]]:
    """Return what the jobs of the model say of themselves."""
    named = (
        "job_type", "data", "metadata", "status", "priority", "progress", "message", "results", "error",
        "errors", "attempt", "failures", "losses", "ttl", "run_at", "created", "updated", "started",
        "completed", "unique_key", "worker",
    )  # fmt: skip
    defaults = {"max_attempts": 1, "max_lost": 3, "timeout": None}
    return {
        job.id: {name: getattr(job, name) for name in named}
        | {name: model.setting(job, name, default) for name, default in defaults.items()}
        for job in model.jobs.values()
    }


def differing(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Return what differs between two readings of jobs, as pairs of the found and the expected."""
    absent: dict[str, Any] = {}
    return {
        f"{job_id}.{name}": (one.get(name), other.get(name))
        for job_id in {*found, *expected}
        for one, other in [(found.get(job_id, absent), expected.get(job_id, absent))]
        for name in {*one, *other}
        if one.get(name) != other.get(name)
    }


def update(told: JobUpdate) -> tuple[Any, ...]:
    """Return all that an update says, but for its seq."""
    assert not told.gap
    return (
        told.kind,
        told.status.value,
        told.attempt,
        told.progress,
        told.message,
        _brief(told.error),
        told.results,
        at(told.timestamp),
    )


def _brief(error: str | None) -> str | None:
    return "expired" if error is not None and error.startswith("expired:") else error


async def watch(broadcaster: Broadcaster, job_id: str, after: int, last: int) -> list[JobUpdate]:
    """Return what a watch yields from a seq on, until the last seq there is."""
    got: list[JobUpdate] = []
    updates = broadcaster.subscribe(job_id, after=after)
    try:
        while after < last:
            got.append(await anext(updates))
            assert got[-1].seq > after
            after = got[-1].seq
    finally:
        await updates.aclose()
    return got


async def read_stats(queue: JobQueue) -> dict[str, Any]:
    """Return what ``Model.stats`` does."""
    return {
        job_type: (each.ready, each.running, each.delayed, reference.millis(each.oldest_ready_age))
        for job_type, each in (await queue.stats()).items()
    }


async def read_history(queue: JobQueue) -> dict[Any, dict[str, int]]:
    """Return what ``Model.history`` does."""
    points = await queue.stats_history()
    minutes = [point.minute for point in points]
    assert minutes == sorted(minutes)
    for point in points:
        assert (point.wait_p50 is None) == (point.started == 0), point
        assert point.wait_p50 is None or 0 <= point.wait_p50 <= (point.wait_p95 or 0), point
        assert point.run_p50 is None or 0 <= point.run_p50 <= (point.run_p95 or 0), point
    found = {
        (at(point.minute), point.job_type): {name: n for name in _FIGURES if (n := getattr(point, name))}
        for point in points
        if any(getattr(point, name) for name in _FIGURES) or _has_but_run(point)
    }
    assert all(minute % MINUTE == 0 for minute, _ in found)
    return found


def _has_but_run(point: HistoryPoint) -> bool:
    """Refuse a point of which nothing is told; one of an attempt that was given back has its time alone."""
    assert point.run_p50 is not None, point
    return False


async def read_error_groups(queue: JobQueue) -> dict[tuple[str, str], tuple[int, int | None]]:
    """Return what ``Model.error_groups`` does."""
    groups = await queue.stats_errors()
    counts = [group.count for group in groups]
    assert counts == sorted(counts, reverse=True)
    return {(group.job_type, group.type): (group.count, at(group.last_at)) for group in groups}


async def read_job_types(queue: JobQueue) -> dict[str, dict[str, Any]]:
    """Return what ``Model.type_settings`` does."""
    return {
        each.job_type: {
            "max_attempts": each.retry.max_attempts,
            "base": each.retry.base,
            "timeout": each.timeout,
            "max_lost": each.max_lost,
            "max_pending": each.max_pending,
            "pause": (at(each.pause_until), each.pause_reason) if each.paused else None,
        }
        for each in await queue.job_types()
    }


async def read_workers(queue: JobQueue) -> list[dict[str, Any]]:
    """Return the registered workers, latest started first."""
    return [
        {
            "id": each.id,
            "slots": each.slots,
            "job_types": each.job_types,
            "jobs": each.jobs,
            "directive": each.directive,
            "started": at(each.started_at),
            "seen": at(each.last_heartbeat_at),
            "stale": each.stale,
        }
        for each in await queue.workers()
    ]


def workers(model: Model) -> list[dict[str, Any]]:
    """Return what the model says of ``read_workers``."""
    entries = [
        {"id": name, **each, "stale": each["seen"] < model.now - MINUTE}
        for name, each in model.workers.items()
    ]
    return sorted(entries, key=lambda each: (-each["started"], each["id"]))
