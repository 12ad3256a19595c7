"""streaq."""

from __future__ import annotations

from streaq import Worker
from streaq.task import Task

from bench.peers import speaking
from bench.peers.speaking import JOBS, PAYLOAD, request


class Streaq(speaking.AsyncPeer):
    """A worker, through which jobs are enqueued too."""

    bulk = 1000

    async def open(self) -> None:
        """Connect, except where the worker will do so itself."""
        self._worker = Worker(
            redis_url=request["url"], concurrency=request.get("slots", 10), handle_signals=False
        )
        self._tasks = {name: self._worker.task(name=name)(function) for name, function in JOBS.items()}
        if request["do"] in {"enqueue", "ask"}:
            await self._worker.__aenter__()

    async def enqueue(self, job: str) -> Task:
        """Enqueue one job."""
        return await self._tasks[job].enqueue(PAYLOAD)

    async def enqueue_many(self, job: str, jobs: int) -> None:
        """Enqueue many."""
        new = [self._tasks[job].enqueue(PAYLOAD) for _ in range(jobs)]
        if request["do"] == "drain":
            async with self._worker:
                await self._worker.enqueue_many(new)
        else:
            await self._worker.enqueue_many(new)

    async def result(self, handle: Task) -> None:
        """Wait for one."""
        await handle.result(10)

    async def work(self) -> None:
        """Run them."""
        await self._worker.run_async()


if __name__ == "__main__":
    speaking.main(Streaq)
