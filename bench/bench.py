"""One run: what the measures share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.environments import FOLDER, Unavailable, command_of
from bench.programs import Program, running
from bench.redis_side import Figures
from bench.results import Results
from bench.roster import OURS, Peer
from tests.support.redis_server import RedisServer


@dataclass
class Bench:
    """Peers that can run, the server that they share, and the results so far.

    ``scale`` is the share of the usual work to do, and ``quick`` whether to keep what takes time short.
    """

    peers: list[Peer]
    redis: RedisServer
    rounds: int = 3
    scale: float = 1.0
    quick: bool = False
    results: Results = field(default_factory=Results)
    tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)
    command_of: Callable[[Peer], list[str]] = command_of

    @property
    def ours(self) -> Peer:
        """Return ourselves."""
        return next(peer for peer in self.peers if peer.name == OURS)

    def jobs(self, number: int) -> int:
        """Return how many of a number of jobs to do."""
        return max(20, int(number * self.scale))

    def empty_redis(self) -> Figures:
        """Remove all that is in Redis, and return its figures then."""
        self.redis.command("FLUSHALL", "SYNC")  # what is freed later would count as free
        return Figures.of(self.redis)

    @contextmanager
    def program(self, peer: Peer, do: str, url: str | None = None, **request: object) -> Iterator[Program]:
        """Run a peer's program until the block is left, over the run's Redis unless another URL is given."""
        with running(self.command_of(peer), {"url": url or self.redis.url, "do": do, **request}) as program:
            yield program

    def drain(self, url: str, **request: object) -> dict[str, float]:
        """Let ourselves drain a store, and return how fast that was and what each job cost."""
        with self.program(self.ours, "drain", url=url, job="noop", **request) as program:
            program.expect("ready")
            program.go()
            drained = program.expect("drained")
        return {
            "jobs/s": drained["jobs"] / drained["seconds"],
            "CPU µs/job": drained["cpu"] / drained["jobs"] * 1e6,
        }

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        """Give an empty folder on the disk of this repository, for stores; it is gone afterwards."""
        FOLDER.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=FOLDER, prefix="store-") as folder:
            yield Path(folder)

    def attempt(self, measure: str, who: str, case: str, sample: Callable[[], dict[str, float]]) -> None:
        """Take a sample of each quantity; who cannot be measured is told so and not tried again."""
        if (measure, who, case) in self.results.troubles:
            return
        self.tell(f"{measure}: {who}, {case}")
        try:
            self.results.add(measure, who, case, sample())
        except (Unavailable, OSError) as error:
            self.tell(f"  {who}: {error}")
            self.results.fail(measure, who, case, str(error))
