"""huey, with threads."""

from __future__ import annotations

from huey import RedisHuey
from huey.api import Result

from bench.peers import speaking
from bench.peers.speaking import PAYLOAD, THREAD_JOBS, request


class Huey(speaking.ThreadPeer):
    """A queue that keeps all results, and tells when one is there that is waited for."""

    def open(self) -> None:
        """Connect."""
        self._huey = RedisHuey(
            url=request["url"], store_none=True, notify_result=request["do"] in {"serve", "ask"}
        )
        self._tasks = {name: self._huey.task(name=name)(function) for name, function in THREAD_JOBS.items()}

    def enqueue(self, job: str) -> Result:
        """Enqueue one job."""
        return self._tasks[job](PAYLOAD)

    def result(self, handle: Result) -> None:
        """Wait for one."""
        handle.get(blocking=True, timeout=10)

    def work(self) -> None:
        """Run them."""
        self._huey.create_consumer(workers=request["slots"], periodic=False).start()


if __name__ == "__main__":
    speaking.main(Huey)
