"""What an actor is told when it is started, and what it writes down.

It is handed over in one environment variable, as JSON, so that an actor is a module to run and nothing else.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from chaos.history import Event, Recorder

VARIABLE = "CHAOS_PART"
_EVENTS_PER_FILE = 400
"""So that no file of the history grows beyond about 128 KB: a limit on the size of files leaves it alone."""


@dataclass(frozen=True)
class Part:
    """One actor's part. ``urls`` are those of the service, ``backend_url`` is the store's."""

    name: str
    folder: str
    backend_url: str
    lease: float
    seed: int
    urls: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def mine(cls) -> Part:
        """Return the part that this process was given."""
        return cls(**json.loads(os.environ[VARIABLE]))

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment that hands it over."""
        return {VARIABLE: json.dumps(asdict(self))}

    @property
    def who(self) -> str:
        """Return this process's name in the history; no two processes of a run have the same."""
        return name_of(self.name, os.getpid())

    @property
    def rng(self) -> random.Random:
        """Return the actor's own source of seeded choices."""
        return random.Random(f"{self.seed} {self.name}")  # noqa: S311 - choices to repeat, not to keep secret

    def journal(self) -> Journal:
        """Return where this process writes down what it sees: one for all that asks."""
        return _journal(self.folder, self.who)


@cache
def _journal(folder: str, who: str) -> Journal:
    return Journal(Path(folder), who)


def name_of(name: str, pid: int) -> str:
    """Return what the process of an actor is called in the history."""
    return f"{name}:{pid}"


class Journal:
    """A recorder that goes on in a new file whenever one has grown to its size."""

    def __init__(self, folder: Path, who: str) -> None:
        self._folder, self._who = folder, who
        self._number = self._written = 0
        self._record: Recorder | None = None

    def __call__(self, event: Event) -> None:
        """Write an event down."""
        if self._record is None or self._written == _EVENTS_PER_FILE:
            self.close()
            self._number += 1
            self._written = 0
            self._record = Recorder(self._folder / f"{self._who.replace(':', '-')}-{self._number:05d}.ndjson")
        self._record(event)
        self._written += 1

    def close(self) -> None:
        """Close the present file."""
        if self._record is not None:
            self._record.close()
            self._record = None
