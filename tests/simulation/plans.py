"""What the jobs of a simulation do, and how they are asked for; all of it drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from jdobb_async_queue import NewJob, RetryPolicy

JOB_TYPES = ("a", "b")
UNIQUE_KEYS = ("u", "v")
_LONGEST = 4.0
"""Seconds that a handler may take."""
BACKOFF = {"base": 0.2, "factor": 2.0, "cap": 1.0, "jitter": 0.2}


@dataclass(frozen=True)
class Intent:
    """A job that a producer wants, and how it makes sure that it gets it once."""

    op: str
    job: NewJob
    key: str | None = None
    """An idempotency key."""
    not_before: float | None = None
    """Seconds of delay that the job must have had."""

    @property
    def is_safe_to_repeat(self) -> bool:
        """Tell whether the enqueue may be sent again without making a second job."""
        return self.key is not None or self.job.job_id is not None


@dataclass
class Plans:
    """Draws intents."""

    rng: random.Random
    lease: float
    drawn: int = field(default=0, init=False)

    def intent(self) -> Intent:
        """Return the next job that somebody wants."""
        rng, n = self.rng, self.drawn
        self.drawn += 1
        op = f"op-{n}"
        way = rng.choice(["own id", "key", "key", "neither"])
        unique_key = rng.choice(UNIQUE_KEYS) if rng.random() < 0.25 else None
        delay = rng.choice([0.2, 1.0, 3.0]) if rng.random() < 0.25 else None
        job = NewJob(
            job_type=rng.choice(JOB_TYPES),
            data={"op": op, **self.work()},
            priority=rng.choice(["low", "normal", "high"]),
            job_id=f"job-{n}" if way == "own id" else None,
            delay=delay,
            ttl=rng.choice([None, None, None, None, 4.0]),
            timeout=self.lease if rng.random() < 0.1 else None,
            max_attempts=rng.choice([1, 2, 2, 3, 3]),
            retry=RetryPolicy(**BACKOFF),
            max_lost=rng.choice([None, None, 1, 2]),
            unique_key=unique_key,
            unique_until=rng.choice(["finished", "finished", "started"]),
            on_conflict=rng.choice(["return", "reject", "replace"]),
        )
        held = delay if way == "own id" and unique_key is None else None
        return Intent(op, job, f"key-{op}" if way == "key" else None, held)

    def work(self) -> dict[str, Any]:
        """Return what the handler does: how long, how often it fails, how it ends."""
        rng = self.rng
        longest = rng.choice([*[share * self.lease for share in (0.05, 0.3, 1.0, 1.6)], _LONGEST])
        parts = rng.choice([1, 3])
        steps = [round(longest * rng.random() / parts, 3) for _ in range(parts)]
        fails = rng.choice([0, 0, 0, 0, 1, 1, 2, 9])
        return {
            "steps": steps,
            "fails": 0 if longest == _LONGEST else fails,  # a drain has no time for one more attempt
            "how": rng.choice(["error", "error", "later", "final"]),
            "snoozes": rng.random() < 0.1,
            "is_stubborn": rng.random() < 0.05,
            "is_poison": rng.random() < 0.03,
        }
