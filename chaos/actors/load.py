"""What producers ask for: a seeded mix of jobs of every kind."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

_MIX = {"quick": 770, "nap": 90, "long": 3, "chatty": 20, "flaky": 30, "moody": 15, "hasty": 4, "remote": 50}
"""How many of each job type in a thousand; what is left over is quick too."""
_MOODS = ("snooze", "later", "fail")
_UNIQUE_KEYS = 12


@dataclass(frozen=True)
class Order:
    """A job to be enqueued; ``fields`` are those of ``NewJob`` and of ``POST /jobs``, without the id."""

    op: str
    fields: dict[str, Any]

    @property
    def unique_key(self) -> str | None:
        """Return the unique key, if it has one."""
        key: str | None = self.fields.get("unique_key")
        return key


class Orders:
    """Makes orders; ``op`` of each is this maker's name and a number."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self._name, self._rng = name, rng
        self._made = 0

    def next(self, job_type: str | None = None, **data: Any) -> Order:
        """Return another order, of this type or of any."""
        self._made += 1
        op = f"{self._name}-{self._made}"
        job_type = job_type or self._rng.choices([*_MIX], [*_MIX.values()])[0]
        fields = {
            "job_type": job_type,
            "data": {"op": op, **self._data(job_type), **data},
            "priority": self._rng.choice(("high", "normal", "normal", "low")),
        }
        if job_type == "quick":
            fields |= self._extras()
        return Order(op, fields)

    def _data(self, job_type: str) -> dict[str, Any]:
        rng = self._rng
        match job_type:
            case "quick":
                return {"seconds": rng.choice((0.0, 0.0, 0.002, 0.01))}
            case "nap" | "swallows":
                return {"seconds": round(rng.uniform(0.05, 0.4), 3)}
            case "long":
                return {"leases": round(rng.uniform(1.1, 1.5), 2)}
            case "flaky":
                return {"failures": rng.randint(1, 3)}
            case "moody":
                return {"mood": rng.choice(_MOODS)}
            case _:
                return {}

    def _extras(self) -> dict[str, Any]:
        chance = self._rng.random()
        if chance < 0.03:  # noqa: PLR2004 - three in a hundred
            return {"delay": round(self._rng.uniform(0.1, 2.0), 2)}
        if chance < 0.06:  # noqa: PLR2004 - the same
            return {
                "unique_key": f"u{self._rng.randrange(_UNIQUE_KEYS)}",
                "on_conflict": self._rng.choice(("return", "reject")),
            }
        return {}
