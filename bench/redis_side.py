"""What a piece of work cost Redis: its processor time, what it read, what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.redis_server import RedisServer


@dataclass(frozen=True)
class Figures:
    """The counters of INFO at one moment; ``memory`` is without what connections take."""

    cpu: float
    reads: int
    memory: int

    @classmethod
    def of(cls, server: RedisServer) -> Figures:
        """Look now."""
        info: dict[str, Any] = server.command("INFO", "everything")
        return cls(
            cpu=float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
            reads=int(info["total_reads_processed"]),
            memory=int(info["used_memory"]) - int(info["mem_clients_normal"]),
        )

    def per_job(self, before: Figures, jobs: int) -> dict[str, float]:
        """Return what each of these jobs cost since: microseconds, and reads of a socket.

        A read is what a round trip costs Redis: a pipeline or a script is one, whatever is in it.
        """
        return {
            "Redis µs/job": (self.cpu - before.cpu) / jobs * 1e6,
            "round trips/job": (self.reads - before.reads) / jobs,
        }
