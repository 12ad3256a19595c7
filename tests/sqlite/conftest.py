"""A queue on a real file, on the real clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.sqlite import SQLiteBackend


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
async def open_queue(file: Path) -> AsyncIterator[Callable[..., JobQueue]]:
    """Return an opener of queues on the file; options are the backend's."""
    opened: list[JobQueue] = []

    def make(*, path: Path = file, **options: Any) -> JobQueue:
        queue = JobQueue(SQLiteBackend(f"sqlite:///{path}", **options))
        opened.append(queue)
        return queue

    yield make
    for queue in opened:
        await queue.close()
