"""RQ, whose SimpleWorker runs one job after another without a fork."""

from __future__ import annotations

import time

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus

from bench.peers import speaking
from bench.peers.speaking import PAYLOAD, THREAD_JOBS, request


class Rq(speaking.ThreadPeer):
    """A queue."""

    bulk = 1000

    def open(self) -> None:
        """Connect."""
        self._connection = Redis.from_url(request["url"])
        self._queue = Queue(connection=self._connection)

    def enqueue(self, job: str) -> Job:
        """Enqueue one job."""
        return self._queue.enqueue(THREAD_JOBS[job], PAYLOAD)

    def enqueue_many(self, job: str, jobs: int) -> None:
        """Enqueue many."""
        new = [Queue.prepare_data(THREAD_JOBS[job], [PAYLOAD]) for _ in range(jobs)]
        self._queue.enqueue_many(new)

    def result(self, handle: Job) -> None:
        """Wait for one by looking every millisecond."""
        while handle.get_status() != JobStatus.FINISHED:
            time.sleep(0.001)

    def work(self) -> None:
        """Run them."""
        SimpleWorker([self._queue], connection=self._connection).work(logging_level="ERROR")


if __name__ == "__main__":
    speaking.main(Rq)
