"""What a piece of work cost Redis: its processor time, what it read, what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.redis_server import RedisServer

_SCRIPT_CALLS = {"eval", "evalsha", "fcall", "eval_ro", "evalsha_ro", "fcall_ro"}


@dataclass(frozen=True)
class Figures:
    """The counters of INFO at one moment; ``memory`` is without what connections take."""

    cpu: float
    reads: int
    scripts: int
    memory: int

    @classmethod
    def of(cls, server: RedisServer) -> Figures:
        """Look now."""
        info: dict[str, Any] = server.command("INFO", "everything")
        return cls(
            cpu=float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
            reads=int(info["total_reads_processed"]),
            scripts=sum(
                int(info[name]["calls"]) for name in info if name.removeprefix("cmdstat_") in _SCRIPT_CALLS
            ),
            memory=int(info["used_memory"]) - int(info["mem_clients_normal"]),
        )

    def per_job(self, before: Figures, jobs: int) -> dict[str, float]:
        """Return what each of these jobs cost since: microseconds, calls of scripts, reads of a socket.

        A read takes whatever a client has sent together: a command, a script, a pipeline.
        """
        return {
            "Redis µs/job": (self.cpu - before.cpu) / jobs * 1e6,
            "script calls/job": (self.scripts - before.scripts) / jobs,
            "reads/job": (self.reads - before.reads) / jobs,
        }
