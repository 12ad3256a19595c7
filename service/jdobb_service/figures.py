"""Figures of job types as the service and the command show them, put together from the library's calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jdobb_async_queue import JobQueue, JobStatus, JobTypeInfo, JobTypeStats

_NOW = ("ready", "running", "delayed")


def everything(_job_type: str) -> bool:
    """Tell that every job type is wanted."""
    return True


async def job_types(queue: JobQueue, wanted: Callable[[str], bool] = everything) -> list[dict[str, Any]]:
    """Return the wanted job types by name: settings in force, pause, and how they stand now.

    Each has the fields of ``JobTypeInfo`` (the schema under ``schema``) and of ``JobTypeStats``, and
    ``counts``, jobs by status.
    """
    infos = [info for info in await queue.job_types() if wanted(info.job_type)]
    stats, counts = await queue.stats(), await queue.counts()
    return [_described(info, stats, counts) for info in infos]


async def job_type(queue: JobQueue, info: JobTypeInfo) -> dict[str, Any]:
    """Return one job type as ``job_types`` does."""
    return _described(info, await queue.stats(), await queue.counts())


async def overview(queue: JobQueue, wanted: Callable[[str], bool] = everything) -> dict[str, Any]:
    """Return how the wanted job types stand now, all together and by name.

    ``ready``, ``running`` and ``delayed`` are numbers of jobs, ``oldest_ready_age`` is seconds (None when
    nothing is ready), ``counts`` has jobs by status; ``job_types`` has the same of each, and ``paused``.
    """
    described = await job_types(queue, wanted)
    names = (*_NOW, "oldest_ready_age", "counts")
    each = {
        found["job_type"]: {**{name: found[name] for name in names}, "paused": found["paused"]}
        for found in described
    }
    return {**_total(each.values()), "job_types": each}


def _described(
    info: JobTypeInfo, stats: Mapping[str, JobTypeStats], counts: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    now = stats.get(info.job_type, JobTypeStats())
    known = counts.get(info.job_type, {})
    return {
        **info.model_dump(by_alias=True),
        **now.model_dump(),
        "counts": {status.value: known.get(status.value, 0) for status in JobStatus},
    }


def _total(each: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    listed = list(each)
    ages = [found["oldest_ready_age"] for found in listed if found["oldest_ready_age"] is not None]
    counts: Counter[str] = Counter({status.value: 0 for status in JobStatus})
    for found in listed:
        counts.update(found["counts"])
    return {
        **{name: sum(found[name] for found in listed) for name in _NOW},
        "oldest_ready_age": max(ages, default=None),
        "counts": dict(counts),
    }
