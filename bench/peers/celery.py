"""Celery: its solo pool for one slot, its thread pool for more."""

from __future__ import annotations

from celery import Celery as App
from celery.result import AsyncResult

from bench.peers import speaking
from bench.peers.speaking import PAYLOAD, THREAD_JOBS, request


class Celery(speaking.ThreadPeer):
    """An app with results in Redis."""

    def open(self) -> None:
        """Connect."""
        self._app = App("bench", broker=request["url"], backend=request["url"])
        self._app.conf.worker_prefetch_multiplier = 100
        self._app.conf.worker_hijack_root_logger = False
        self._tasks = {name: self._app.task(function, name=name) for name, function in THREAD_JOBS.items()}

    def enqueue(self, job: str) -> AsyncResult:
        """Enqueue one job."""
        return self._tasks[job].delay(PAYLOAD)

    def result(self, handle: AsyncResult) -> None:
        """Wait for one, by Pub/Sub."""
        handle.get(timeout=10, interval=0.001)

    def work(self) -> None:
        """Run them."""
        pool = ["--pool=solo"] if request["slots"] == 1 else ["--pool=threads", f"-c{request['slots']}"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]
        self._app.worker_main(["worker", *pool, *quiet])


if __name__ == "__main__":
    speaking.main(Celery)
