"""Watching over a backend that is not whole."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import BackendError, Broadcaster, JobQueue, QueueBackend
from jdobb_async_queue.backends.memory import MemoryBackend


class Spoilt(MemoryBackend):
    """A store in which the log of one job cannot be read."""

    spoilt = ""
    read_many_updates = QueueBackend.read_many_updates

    async def read_updates(self, job_id, after, limit=512):
        if job_id == self.spoilt:
            raise BackendError("spoilt")
        return await super().read_updates(job_id, after, limit)


async def test_a_log_that_cannot_be_read_disturbs_no_watcher_of_another():
    async with JobQueue(Spoilt()) as queue:
        spoilt, sound = [await queue.enqueue("test") for _ in range(2)]
        queue.backend.spoilt = spoilt
        broadcaster = Broadcaster(queue)

        first, second = await asyncio.gather(
            broadcaster.snapshot(spoilt), broadcaster.snapshot(sound), return_exceptions=True
        )

        with pytest.raises(BackendError, match="spoilt"):
            raise first
        assert second.job_id == sound
