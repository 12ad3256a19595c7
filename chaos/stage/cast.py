"""Who takes part in a run: each actor is a process that is started anew whenever it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos.actors.part import Part, name_of
from chaos.stage.process import Process

WORKER, API, PRODUCER, HTTP_PRODUCER = "worker", "api", "producer", "http-producer"
HTTP_WORKER, WATCHER, OPERATOR = "http-worker", "watcher", "operator"
PUTTING_IN = (PRODUCER, HTTP_PRODUCER, OPERATOR, WATCHER)
"""Who enqueues, and is told to stop first."""
_MODULES = {
    WORKER: "chaos.actors.worker",
    PRODUCER: "chaos.actors.producer",
    HTTP_PRODUCER: "chaos.actors.http_producer",
    HTTP_WORKER: "chaos.actors.http_worker",
    WATCHER: "chaos.actors.watcher",
    OPERATOR: "chaos.actors.operator",
}


@dataclass
class Actor:
    """One who takes part; ``opens_store`` tells whether its process opens the store itself."""

    role: str
    part: Part
    arguments: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    opens_store: bool = False
    process: Process | None = None
    starts: int = 0
    is_wanted: bool = True
    """It is to be started again when it has ended."""

    @classmethod
    def of(cls, role: str, part: Part, *, opens_store: bool = False) -> Actor:
        """Return an actor that is a module of its own."""
        return cls(role, part, ["-m", _MODULES[role]], opens_store=opens_store)

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.part.name

    @property
    def who(self) -> str:
        """Return what its present process is called in the history."""
        return self.name if self.process is None else name_of(self.name, self.process.pid)

    @property
    def runs(self) -> bool:
        """Tell whether its process runs, stopped or not."""
        return self.process is not None and self.process.runs

    @property
    def log(self) -> Path:
        """Return where its output goes."""
        return Path(self.part.folder) / f"{self.name}-{self.starts:03d}.log"

    def start(self) -> None:
        """Start its process, if it does not run."""
        if not self.runs:
            self.starts += 1
            self.process = Process(self.arguments, self.log, {**self.part.variables, **self.variables})


class Cast:
    """All actors of a run."""

    def __init__(self, actors: list[Actor]) -> None:
        self.actors = actors

    def of(self, *roles: str) -> list[Actor]:
        """Return the actors in these roles."""
        return [actor for actor in self.actors if actor.role in roles]

    def running(self, *roles: str) -> list[Actor]:
        """Return those in these roles whose process runs and is not stopped."""
        return [
            actor
            for actor in self.of(*roles)
            if actor.runs and actor.process is not None and not actor.process.is_stopped
        ]

    def workers(self) -> set[int]:
        """Return the process ids of the workers; one that has ended counts until another takes its place."""
        return {actor.process.pid for actor in self.of(WORKER) if actor.process is not None}

    def fallen(self) -> Iterator[Actor]:
        """Yield those that have ended and are wanted."""
        return (
            actor for actor in self.actors if actor.is_wanted and actor.process and not actor.process.runs
        )

    def dismiss(self, *roles: str) -> None:
        """Tell those in these roles to end, and want them no more."""
        for actor in self.of(*roles):
            actor.is_wanted = False
            if actor.process is not None and actor.process.runs:
                actor.process.go_on()
                actor.process.tell_to_end()

    def end(self) -> None:
        """End all, whatever state they are in."""
        self.dismiss(*{actor.role for actor in self.actors})
        for actor in self.actors:
            if actor.process is not None:
                actor.process.end()
