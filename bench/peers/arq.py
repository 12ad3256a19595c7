"""arq, polling every millisecond: by default it starts at most ``max_jobs`` jobs each half a second."""

from __future__ import annotations

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.jobs import Job
from arq.worker import Worker

from bench.peers import speaking
from bench.peers.speaking import JOBS, PAYLOAD, request

_POLL = 0.001


class Arq(speaking.AsyncPeer):
    """A pool, and a worker of its own."""

    async def open(self) -> None:
        """Connect."""
        self._settings = RedisSettings.from_dsn(request["url"])
        self._pool = await create_pool(self._settings)

    async def enqueue(self, job: str) -> Job | None:
        """Enqueue one job."""
        return await self._pool.enqueue_job(job, PAYLOAD)

    async def result(self, handle: Job) -> None:
        """Wait for one by looking every millisecond."""
        await handle.result(timeout=10, poll_delay=_POLL)

    async def work(self) -> None:
        """Run them."""
        worker = Worker(
            [func(function, name=name) for name, function in JOBS.items()],
            redis_settings=self._settings,
            max_jobs=request["slots"],
            poll_delay=_POLL,
            handle_signals=False,
        )
        await worker.async_run()


if __name__ == "__main__":
    speaking.main(Arq)
