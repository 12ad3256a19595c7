"""The workers that reach the queue over HTTP, in the registry of workers.

Claims say which job types a worker takes, heartbeats what it runs. Each leaves alone what the other tells,
and nothing is remembered here: the next request of the worker may reach another process.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from jdobb_async_queue import JobQueue, WorkerInfo

_REFRESH_EVERY = timedelta(seconds=10)


async def enter_claim(
    queue: JobQueue, worker_id: str, host: str, job_types: Iterable[str], limit: int
) -> None:
    """Note that a worker asks for up to ``limit`` jobs of these types (none: of every type).

    Nothing is written when the entry says so already and is not ten seconds old.
    """
    known = await queue.worker(worker_id)
    types = list(dict.fromkeys(job_types))
    slots = _slots(known, limit)
    if known is not None and (known.host, known.job_types, known.slots) == (host, types, slots):
        now = datetime.fromtimestamp(queue.backend.now() / 1000, UTC)
        if now - known.last_heartbeat_at <= _REFRESH_EVERY:
            return
    await queue.register_worker(worker_id, host=host, job_types=types, slots=slots)


async def enter_heartbeat(
    queue: JobQueue, worker_id: str, host: str, jobs: Iterable[str], stopping: Iterable[str]
) -> str:
    """Note what a worker runs and has to give up, and return what it has been told."""
    running = list(jobs)
    slots = _slots(await queue.worker(worker_id), len(running))
    return await queue.register_worker(worker_id, host=host, slots=slots, jobs=running, stopping=stopping)


def _slots(known: WorkerInfo | None, least: int) -> int:
    """Return how many jobs a worker runs at once: the most that it has asked for or run at one time."""
    return max(least, 1 if known is None else known.slots)
