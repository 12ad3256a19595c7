"""dramatiq, with results for the jobs whose result is waited for only, as it comes."""

from __future__ import annotations

import dramatiq
from dramatiq import Message, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Callbacks, Retries, ShutdownNotifications, TimeLimit
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.peers import speaking
from bench.peers.speaking import PAYLOAD, THREAD_JOBS, request


class Dramatiq(speaking.ThreadPeer):
    """A broker with the usual middleware, but without its server for Prometheus."""

    def open(self) -> None:
        """Connect."""
        self._broker = RedisBroker(
            url=request["url"], middleware=[TimeLimit(), ShutdownNotifications(), Callbacks(), Retries()]
        )
        self._broker.add_middleware(Results(backend=RedisBackend(url=request["url"])))
        dramatiq.set_broker(self._broker)
        self._actors = {
            name: dramatiq.actor(function, actor_name=name, broker=self._broker, store_results=name == "note")
            for name, function in THREAD_JOBS.items()
        }

    def enqueue(self, job: str) -> Message:
        """Enqueue one job."""
        return self._actors[job].send(PAYLOAD)

    def result(self, handle: Message) -> None:
        """Wait for one."""
        handle.get_result(block=True, timeout=10_000)

    def work(self) -> None:
        """Run them."""
        Worker(self._broker, worker_threads=request["slots"]).start()


if __name__ == "__main__":
    speaking.main(Dramatiq)
