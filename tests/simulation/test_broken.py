"""A simulation that cannot fail proves nothing: each of these defects is found, and soon."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation import broken
from tests.simulation.run import simulate
from tests.simulation.world import World

ENOUGH = 40
"""Seeds, among which a defect is found; most need a few."""

BACKENDS = {
    broken.CompletesWithAnyToken: {"I4", "I6"},
    broken.CancelsTheFinished: {"I3", "I5"},
    broken.RetriesTheComplete: {"I3"},
    broken.KeepsRefusedResults: {"results"},
    broken.RepeatsTokens: {"I6"},
    broken.ClaimsInTwoSteps: {"I6"},
    broken.ClaimsEarly: {"I11"},
    broken.DoesNotExtend: {"I6", "I7"},
    broken.NeverTellsOfCancellations: {"I9"},
    broken.RescuesFromASnapshot: {"I3", "I4", "I6"},
    broken.RescuesEarly: {"I6"},
    broken.RescuesForFree: {"I10"},
    broken.ForgetsTheExhausted: {"I1"},
    broken.NeverRescues: {"I1", "L1"},
    broken.CountsOneFailureLess: {"I10"},
    broken.CountsOneFailureMore: {"I10"},
    broken.ChecksKeysBeforeStoring: {"I8"},
    broken.ChecksUniqueKeysBeforeStoring: {"I8"},
    broken.AcknowledgesBeforeStoring: {"I1"},
    broken.SkipsAnUpdate: {"updates"},
    broken.RepeatsAnUpdate: {"updates"},
}
WORKERS = {
    broken.StartsOnLostLeases: {"I4"},
    broken.ForgetsOutcomes: {"I7"},
    broken.StopsFetchingAfterAnOutage: {"idle"},
}


def cases(table: dict[type, set[str]]) -> list[Any]:
    return [pytest.param(kind, breaks, id=kind.__name__) for kind, breaks in table.items()]


@pytest.mark.parametrize(("kind", "breaks"), cases(BACKENDS))
def test_a_backend_with_a_defect_is_found(kind: type, breaks: set[str]):
    assert found(breaks, backend_type=kind)


@pytest.mark.parametrize(("kind", "breaks"), cases(WORKERS))
def test_a_worker_with_a_defect_is_found(kind: type, breaks: set[str]):
    assert found(breaks, worker_type=kind, storm=2.0)


def found(breaks: set[str], **cast: Any) -> bool:
    """Tell whether runs find that all of these invariants are broken."""
    missing = set(breaks)
    for seed in range(ENOUGH):
        missing -= simulate(World(seed, **cast)).broken
        if not missing:
            return True
    return False
