"""jdobb-async-queue, on any of its backends."""

from __future__ import annotations

from bench.peers import speaking
from bench.peers.speaking import JOBS, PAYLOAD, request
from jdobb_async_queue import JobQueue, NewJob, Worker


class Ours(speaking.AsyncPeer):
    """Takes ``types`` in the request too: the number of job types that the jobs are spread over."""

    bulk = 1000

    async def open(self) -> None:
        """Connect."""
        self._queue = JobQueue.from_url(request["url"])
        await self._queue.open()

    async def enqueue(self, job: str) -> str:
        """Enqueue one job."""
        return await self._queue.enqueue(job, PAYLOAD)

    async def enqueue_many(self, job: str, jobs: int) -> None:
        """Enqueue many, of one type after another."""
        names = self._names(job)
        new = [NewJob(job_type=names[number % len(names)], data=PAYLOAD) for number in range(jobs)]
        await self._queue.enqueue_many(new)

    async def result(self, handle: str) -> None:
        """Wait for one."""
        await self._queue.wait(handle)

    async def work(self) -> None:
        """Run all types."""
        worker = Worker(self._queue, max_concurrent=request["slots"])
        for job, function in JOBS.items():
            for name in self._names(job):
                worker.register_handler(name, function)
        await worker.run()

    def _names(self, job: str) -> list[str]:
        return [job, *(f"{job}-{number}" for number in range(1, request.get("types", 1)))]


if __name__ == "__main__":
    speaking.main(Ours)
