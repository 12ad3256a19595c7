"""A simulation that cannot fail proves nothing: each of these defects is found, and soon."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation import broken_workers
from tests.simulation.run import simulate
from tests.simulation.world import World
from tests.support import broken_backends

ENOUGH = 40
"""Seeds, among which a defect is found; most need a few."""

BACKENDS = {
    broken_backends.CompletesWithAnyToken: {"I4", "I6"},
    broken_backends.CancelsTheFinished: {"I3", "I5"},
    broken_backends.RetriesTheComplete: {"I3"},
    broken_backends.KeepsRefusedResults: {"results"},
    broken_backends.RepeatsTokens: {"I6"},
    broken_backends.ClaimsInTwoSteps: {"I6"},
    broken_backends.ClaimsEarly: {"I11"},
    broken_backends.DoesNotExtend: {"I6", "I7"},
    broken_backends.NeverTellsOfCancellations: {"I9"},
    broken_backends.RescuesFromASnapshot: {"I3", "I4", "I6"},
    broken_backends.RescuesEarly: {"I6"},
    broken_backends.RescuesForFree: {"I10"},
    broken_backends.ForgetsTheExhausted: {"I1"},
    broken_backends.NeverRescues: {"I1", "L1"},
    broken_backends.CountsOneFailureLess: {"I10"},
    broken_backends.CountsOneFailureMore: {"I10"},
    broken_backends.ChecksKeysBeforeStoring: {"I8"},
    broken_backends.ChecksUniqueKeysBeforeStoring: {"I8"},
    broken_backends.AcknowledgesBeforeStoring: {"I1"},
    broken_backends.SkipsAnUpdate: {"updates"},
    broken_backends.RepeatsAnUpdate: {"updates"},
}
WORKERS = {
    broken_workers.StartsOnLostLeases: {"I4"},
    broken_workers.ForgetsOutcomes: {"I7"},
    broken_workers.StopsFetchingAfterAnOutage: {"idle"},
}
SURROUNDINGS: dict[type, dict[str, float]] = {
    # where leases outlast the faults, so that no fault explains what the defect did
    broken_workers.ForgetsOutcomes: {"storm": 1.0, "lease": 12.0},
}


def cases(table: dict[type, set[str]]) -> list[Any]:
    return [pytest.param(kind, breaks, id=kind.__name__) for kind, breaks in table.items()]


@pytest.mark.parametrize(("kind", "breaks"), cases(BACKENDS))
def test_a_backend_with_a_defect_is_found(kind: type, breaks: set[str]):
    assert found(breaks, backend_type=kind)


@pytest.mark.parametrize(("kind", "breaks"), cases(WORKERS))
def test_a_worker_with_a_defect_is_found(kind: type, breaks: set[str]):
    assert found(breaks, worker_type=kind, **SURROUNDINGS.get(kind, {"storm": 2.0}))


def found(breaks: set[str], **cast: Any) -> bool:
    """Tell whether runs find that all of these invariants are broken."""
    missing = set(breaks)
    for seed in range(ENOUGH):
        missing -= simulate(World(seed, **cast)).broken
        if not missing:
            return True
    return False
