"""One run: what the measures share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.environments import Unavailable, command_of
from bench.programs import Program, running
from bench.redis_side import Figures
from bench.results import Results
from bench.roster import OURS, Peer
from tests.support.redis_server import RedisServer


@dataclass
class Bench:
    """Peers that can run, the server that they share, and the results so far."""

    peers: list[Peer]
    redis: RedisServer
    folder: Path
    rounds: int = 3
    quick: bool = False
    results: Results = field(default_factory=Results)
    tell: Callable[[str], None] = print
    command_of: Callable[[Peer], list[str]] = command_of

    @property
    def ours(self) -> Peer:
        """Return ourselves."""
        return next(peer for peer in self.peers if peer.name == OURS)

    def jobs(self, number: int) -> int:
        """Return a number of jobs, a tenth of it in a quick run."""
        return max(20, number // 10) if self.quick else number

    def empty_redis(self) -> Figures:
        """Remove all that is in Redis, and return its figures then."""
        self.redis.command("FLUSHALL")
        return Figures.of(self.redis)

    @contextmanager
    def program(self, peer: Peer, do: str, **request: object) -> Iterator[Program]:
        """Run a peer's program until the block is left, over the run's Redis unless another URL is given."""
        with running(self.command_of(peer), {"url": self.redis.url, "do": do, **request}) as program:
            yield program

    def attempt(self, measure: str, who: str, case: str, sample: Callable[[], dict[str, float]]) -> None:
        """Take a sample of each quantity; who cannot be measured is told so and not tried again."""
        if (measure, who, case) in self.results.troubles:
            return
        self.tell(f"{measure}: {who}, {case}")
        try:
            self.results.add(measure, who, case, sample())
        except Unavailable as error:
            self.tell(f"  {who}: {error}")
            self.results.fail(measure, who, case, str(error))
