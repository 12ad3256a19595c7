"""Writes events as lines of JSON, and reads them again.

A line is written by one call of the operating system and not kept in the process, so that a process that is
killed leaves all that it had recorded; at most its last line is cut short, and left out when it is read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from types import TracebackType

from chaos.history.events import KINDS, Event


def now() -> float:
    """Return the seconds that all observers on this machine share: the monotonic clock, which never jumps."""
    return time.monotonic()


class Recorder:
    """Appends events to a file of its own; several threads may share it, processes may not."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, event: Event) -> None:
        """Write an event down."""
        os.write(self._file, to_line(event).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Callable[[Event], None]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def to_line(event: Event) -> str:
    """Return an event as a line of JSON, without what has its default."""
    values = {
        item.name: value for item in fields(event) if (value := getattr(event, item.name)) != item.default
    }
    return json.dumps({"event": type(event).__name__, **values}, separators=(",", ":"))


def from_line(line: str) -> Event:
    """Return the event of a line."""
    values = json.loads(line)
    kind = KINDS[values.pop("event")]
    if "records" in values:
        values["records"] = tuple(values["records"])
    if "updates" in values:
        values["updates"] = tuple(tuple(update) for update in values["updates"])
    return kind(**values)


def read_history(place: Path) -> list[Event]:
    """Return the events of a file, or of all files ``*.ndjson`` in a folder, in the order of their time."""
    paths = sorted(place.glob("*.ndjson")) if place.is_dir() else [place]
    return merged(event for path in paths for event in _read(path))


def merged(events: Iterable[Event]) -> list[Event]:
    """Return events in the order of their time; those of one instant keep their order."""
    return sorted(events, key=lambda event: event.at)


def _read(path: Path) -> Iterable[Event]:
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")  # what follows was cut short by a kill
    return [from_line(line) for line in whole.splitlines()]
