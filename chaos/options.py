"""What a run is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaos.faults import Fault

BACKENDS = ("sqlite", "redis", "memory")
MOST_IN_MEMORY = 8000
"""The memory backend forgets finished jobs beyond 10,000, and a run reads all of them in the end."""


@dataclass(frozen=True)
class Options:
    """The options of a run; durations are seconds.

    ``durability`` is ``full`` or ``normal``: of SQLite its ``synchronous``, of Redis ``appendfsync`` always
    or everysec. ``seconds``, ``jobs`` and ``least_faults`` are the least; ``most_gap`` is the longest pause
    between two faults of a lane.
    """

    backend: str
    faults: tuple[type[Fault], ...]
    folder: Path
    seconds: float = 30.0
    jobs: int = 2000
    seed: int = 0
    durability: str = "full"
    lease: float = 3.0
    workers: int = 3
    most_gap: float = 1.0
    least_faults: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run. Raises ``ValueError`` naming the option."""
        if self.backend not in BACKENDS:
            raise ValueError(f"--backend must be one of {', '.join(BACKENDS)}, got {self.backend!r}")
        if not self.faults:
            raise ValueError("--faults names no fault")
        if not 1 <= self.jobs <= (MOST_IN_MEMORY if self.backend == "memory" else 10_000_000):
            raise ValueError(
                f"--jobs must be at least 1 (in memory at most {MOST_IN_MEMORY}), got {self.jobs}"
            )
        if not 1 <= self.seconds <= 86_400:  # noqa: PLR2004 - a day
            raise ValueError(f"--seconds must be from 1 to 86400, got {self.seconds:g}")
        if not 0.1 <= self.most_gap <= 600:  # noqa: PLR2004 - a few minutes
            raise ValueError(f"--gap must be from 0.1 to 600, got {self.most_gap:g}")
        if not 1 <= self.lease <= 600:  # noqa: PLR2004 - a lease over HTTP is at least a second
            raise ValueError(f"--lease must be from 1 to 600, got {self.lease:g}")
        if not 1 <= self.workers <= 64:  # noqa: PLR2004 - as many as one machine may bear
            raise ValueError(f"--workers must be from 1 to 64, got {self.workers}")
