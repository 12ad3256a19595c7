"""Random histories that cannot fail prove nothing: each of these defects is found, and soon."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from jdobb_async_queue.backends.memory import MemoryBackend
from tests.model.machine import Histories
from tests.model.stores import Memory, SQLiteFile, Store
from tests.support import broken_backends

HISTORIES, STEPS = 150, 40
"""A defect is found within so many histories of so many steps; most need one or two."""

RARE = {
    broken_backends.CountsTheRunning,
    broken_backends.ForgetsDirectives,
    broken_backends.FreesUniqueKeysAtTheStart,
    broken_backends.KeepsUniqueKeys,
    broken_backends.LosesThePlace,
    broken_backends.PrunesEarly,
    broken_backends.RepeatsAnUpdate,
    broken_backends.RetriesOnceTooOften,
    broken_backends.RetriesWithoutAFreshStart,
}
"""Those that need dozens of histories or more: too many to wait for here."""
BROKEN = [
    kind
    for kind in vars(broken_backends).values()
    if isinstance(kind, type)
    and issubclass(kind, MemoryBackend)
    and kind.__module__ == broken_backends.__name__
    and kind not in RARE
]


class LosesTheLog(SQLiteFile):
    """A crash takes what was committed since the last checkpoint."""

    async def _copy(self, left: Path) -> None:
        await super()._copy(left)
        self.file.with_name("jobs.db-wal").unlink(missing_ok=True)


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_backend_with_a_defect_is_found(kind: type[MemoryBackend]):
    assert is_found(type("Broken", (Memory,), {"backend_type": kind}))


def test_a_file_that_loses_commits_in_a_crash_is_found():
    assert is_found(LosesTheLog)


def is_found(store: type[Store]) -> bool:
    @seed(0)
    def make() -> Histories:
        return Histories(store)

    try:
        run_state_machine_as_test(
            make,
            settings=settings(
                max_examples=HISTORIES,
                stateful_step_count=STEPS,
                phases=[Phase.generate],
                derandomize=False,
                report_multiple_bugs=False,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
    except AssertionError:
        return True
    return False
