"""Fixtures of every test folder: a clock, and queues on each backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import settings

from jdobb_async_queue import JobQueue
from tests.support.backends import KINDS, Kind
from tests.support.clock import ManualClock

settings.register_profile("same", deadline=None, database=None, derandomize=True, max_examples=200)
settings.register_profile("explore", deadline=None, database=None, max_examples=3000)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--jobs", type=int, help="how many jobs tests/e2e puts through several processes")
    parser.addoption("--seeds", type=int, default=320, help="how many runs tests/simulation makes")


MakeQueue = Callable[..., JobQueue]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
async def make_queue(kind: Kind, tmp_path: Path, clock: ManualClock) -> AsyncIterator[MakeQueue]:
    """Return a maker of queues; its arguments are JobQueue's, and ``on`` (share that queue's backend)."""
    made: list[JobQueue] = []

    def make(*, on: JobQueue | None = None, namespace: str = "default", clock=clock, **options) -> JobQueue:
        backend = kind.make(tmp_path, clock, namespace) if on is None else on.backend
        queue = JobQueue(backend, **options)
        made.append(queue)
        return queue

    yield make
    for queue in made:
        await queue.close()


@pytest.fixture
def queue(make_queue: MakeQueue) -> JobQueue:
    return make_queue()
