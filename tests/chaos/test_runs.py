"""A short run of each backend: every fault of it strikes at least once, and no invariant breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.conductor import Conductor
from chaos.faults import chosen
from chaos.options import Options
from chaos.report import Verdict


@pytest.mark.timeout(300)  # on a machine that does much else; how long it takes is no part of the outcome
@pytest.mark.parametrize(
    ("backend", "durability", "families", "jobs"),
    [
        ("sqlite", "full", ["all"], 200),
        ("redis", "normal", ["all"], 200),
        ("memory", "full", ["stop", "handler", "network"], 60),  # a kill would take all jobs along
    ],
)
async def test_every_fault_strikes_and_no_invariant_breaks(
    tmp_path: Path, backend: str, durability: str, families: list[str], jobs: int
):
    faults = chosen(families, backend, durability)
    options = Options(
        backend=backend, durability=durability, faults=tuple(faults), folder=tmp_path,
        seconds=8, jobs=jobs, seed=1, lease=2.0, workers=2, most_gap=0.2,
    )  # fmt: skip

    outcome = await Conductor(options).run()
    verdict = Verdict.of(options, outcome, "pytest")

    assert not verdict.violations, str(verdict)
    assert verdict.counts, str(verdict)
    assert set(outcome.struck) == {fault.name for fault in faults}
