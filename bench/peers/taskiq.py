"""taskiq over a Redis list, which is its fastest broker, with results in Redis."""

from __future__ import annotations

from taskiq import AsyncTaskiqTask
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from bench.peers import speaking
from bench.peers.speaking import JOBS, PAYLOAD, request


class Taskiq(speaking.AsyncPeer):
    """A broker with a result backend."""

    async def open(self) -> None:
        """Connect."""
        results = RedisAsyncResultBackend(redis_url=request["url"])
        self._broker = ListQueueBroker(url=request["url"], result_backend=results)
        self._tasks = {
            name: self._broker.register_task(function, task_name=name) for name, function in JOBS.items()
        }
        await self._broker.startup()

    async def enqueue(self, job: str) -> AsyncTaskiqTask:
        """Enqueue one job."""
        return await self._tasks[job].kiq(PAYLOAD)

    async def result(self, handle: AsyncTaskiqTask) -> None:
        """Wait for one by looking every millisecond."""
        await handle.wait_result(check_interval=0.001, timeout=10)

    async def work(self) -> None:
        """Run them."""
        await run_receiver_task(self._broker, max_async_tasks=request["slots"])


if __name__ == "__main__":
    speaking.main(Taskiq)
