"""Forks: a child of the process that opened a store must neither use nor close its connections."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from jdobb_async_queue.errors import ForkedProcess


class Forkable(Protocol):
    """What has connections that a forked child must neither use nor close."""

    def connections(self) -> list[object]:
        """Return the connections."""


_open: weakref.WeakSet[Forkable] = weakref.WeakSet()
_parked: list[object] = []


def guard_fork(owner: Forkable) -> None:
    """Keep the connections of ``owner`` from being closed by a forked child, which would harm its parent."""
    _open.add(owner)


def check_process(owner_pid: int) -> None:
    """Raise ``ForkedProcess`` in a child of the process that opened the store."""
    if os.getpid() != owner_pid:
        raise ForkedProcess(
            "this queue was opened before the process forked; open a new one in the child "
            "(or start processes with multiprocessing's spawn method)"
        )


def _park() -> None:
    for owner in list(_open):
        _parked.extend(owner.connections())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_park)
