"""Every backend answers any history as the reference model does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Histories
from tests.model.stores import Memory, Redis, SQLiteFile, SQLiteMemory, Store
from tests.support.redis_server import RedisServer

STEPS = 40
SHARE = {"memory": 0.3, "sqlite-memory": 0.2, "sqlite-file": 0.1, "redis": 0.1}
"""How many histories a store gets of those that the profile allows: what is quick gets more."""


@pytest.fixture(scope="module")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a server that has on disk what it acknowledged."""
    folder: Path = tmp_path_factory.mktemp("redis")
    server = RedisServer(folder, "--appendonly", "yes", "--appendfsync", "always").start()
    yield server
    server.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(2))
def test_a_history_in_memory_is_as_the_model_says(part: int) -> None:
    run(Memory, "memory", part)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(2))
def test_a_history_in_sqlite_without_a_file_is_as_the_model_says(part: int) -> None:
    run(SQLiteMemory, "sqlite-memory", part)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(2))
def test_a_history_in_an_sqlite_file_is_as_the_model_says(part: int) -> None:
    run(SQLiteFile, "sqlite-file", part)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(2))
def test_a_history_in_redis_is_as_the_model_says(part: int, lasting_server: RedisServer) -> None:
    run(partial(Redis, server=lasting_server), "redis", part)


def run(make_store: Callable[..., Store], name: str, part: int) -> None:
    """Run a part's histories; while the profile is one that repeats itself, each part has its own."""

    def make() -> Histories:
        return Histories(make_store)

    run_state_machine_as_test(
        seed(part)(make) if settings.default.derandomize else make,
        settings=settings(
            max_examples=max(1, int(settings.default.max_examples * SHARE[name])),
            stateful_step_count=STEPS,
            phases=[Phase.generate, Phase.shrink],
        ),
    )
