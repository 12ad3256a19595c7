"""SAQ."""

from __future__ import annotations

from saq import Job, Queue, Worker

from bench.peers import speaking
from bench.peers.speaking import JOBS, PAYLOAD, request


class Saq(speaking.AsyncPeer):
    """A queue with the settings that it comes with."""

    async def open(self) -> None:
        """Connect."""
        self._queue = Queue.from_url(request["url"])
        await self._queue.connect()

    async def enqueue(self, job: str) -> Job | None:
        """Enqueue one job."""
        return await self._queue.enqueue(job, **PAYLOAD)

    async def result(self, handle: Job) -> None:
        """Wait by Pub/Sub, which is faster than its `apply`."""
        await handle.refresh(until_complete=10)

    async def work(self) -> None:
        """Run them."""
        await Worker(self._queue, JOBS.items(), concurrency=request["slots"]).start()


if __name__ == "__main__":
    speaking.main(Saq)
