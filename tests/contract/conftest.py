"""What the contract suite needs besides queues."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jdobb_async_queue import JobQueue, broadcaster
from jdobb_async_queue.backends.bells import Bell
from jdobb_async_queue.queue import consumer, reader
from tests.conftest import MakeQueue
from tests.support.backends import Kind
from tests.support.clock import ManualClock
from tests.support.waiting import eventually


@pytest.fixture
async def make_queue(
    make_queue: MakeQueue, kind: Kind, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[MakeQueue]:
    """Check that the store is sound after each test, when its queues are closed and nothing changes."""
    made: list[JobQueue] = []

    def make(**options: Any) -> JobQueue:
        made.append(make_queue(**options))
        return made[-1]

    yield make
    for queue in made:
        await queue.close()
    await kind.check(tmp_path, clock)


class Waits:
    """Counts how often somebody found nothing new and began to wait."""

    def __init__(self) -> None:
        self.count = 0

    async def begun(self, count: int = 1) -> None:
        """Return when ``count`` waits have begun since the test started."""

        async def enough() -> bool:
            return self.count >= count

        await eventually(enough)


@pytest.fixture
def bells_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody who waits look again by himself: he has to be woken, or to know when to look."""
    for module in (broadcaster, consumer, reader):
        monkeypatch.setattr(module, "_LOOK_AGAIN", 3600.0)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, bells_only: None) -> Waits:
    found, wait = Waits(), Bell.wait

    async def counted(bell: Bell, timeout: float | None = None) -> bool:
        found.count += 1
        return await wait(bell, timeout)

    monkeypatch.setattr(Bell, "wait", counted)
    return found
