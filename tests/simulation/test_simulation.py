"""The real worker, completer, heartbeat and rescue code on virtual time, against a network that fails.

A run that went wrong repeats itself: ``simulate(World(seed))``. ``--seeds N`` chooses how many are run;
with fewer than a hundred not every part meets all that it is about.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chaos.history.record import to_line
from tests.simulation.run import simulate
from tests.simulation.world import World

PARTS = 8
"""The seeds are run in so many parts, beside each other where tests are."""

WINDOWS = (
    "stale_refused", "refused_to_workers", "repeated", "losses", "lost_replies", "unanswered", "recovered",
    "again_after_settled", "again_after_retry", "again_after_kill", "again_after_pause", "again_after_cut",
    "cancelled", "retried", "refused", "fault_stop", "reconnects", "jobs_complete", "jobs_failed",
    "jobs_cancelled",
)  # fmt: skip
"""What runs are about: a part whose runs met one of them not once has proved nothing about it."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_invariants_hold_whatever_goes_wrong(part: int, request: pytest.FixtureRequest):
    figures = Counter[str]()
    for seed in range(part, request.config.getoption("seeds"), PARTS):
        result = simulate(World(seed))
        assert result.ok, str(result)
        figures += result.figures

    assert {window for window in WINDOWS if not figures[window]} == set(), figures


def test_where_nothing_goes_wrong_no_lease_is_lost_and_nothing_runs_twice_without_reason():
    results = [simulate(World(seed, storm=0.0)) for seed in range(20)]
    figures = sum((result.figures for result in results), Counter[str]())

    assert [str(result) for result in results if not result.ok] == []
    assert figures["starts"] > 100
    assert figures["losses"] == figures["faults"] == 0
    assert figures["second_starts"] == figures["again_after_settled"] + figures["again_after_retry"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_seed_gives_the_same_trace(seed: int):
    first, second = (simulate(World(seed, keeps_trace=True)) for _ in range(2))

    assert len(first.trace) > 100
    assert first.trace == second.trace
    assert [*map(to_line, first.events)] == [*map(to_line, second.events)]


def test_the_trace_does_not_depend_on_the_process():
    program = (
        "from chaos.history.record import to_line; from tests.simulation.run import simulate;"
        "from tests.simulation.world import World; import logging; logging.disable();"
        "print(*map(to_line, simulate(World(5)).events), sep='\\n')"
    )
    root = Path(__file__).parents[2]
    first, second = (
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root, env=os.environ | {"PYTHONHASHSEED": salt}, check=True, capture_output=True, text=True,
        ).stdout
        for salt in ("1", "2")
    )  # fmt: skip

    assert len(first.splitlines()) > 100
    assert first == second


def test_another_seed_gives_another_trace():
    first, second = (simulate(World(seed, keeps_trace=True)) for seed in (1, 2))

    assert first.trace != second.trace
