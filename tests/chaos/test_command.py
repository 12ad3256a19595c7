"""The command ``scripts/chaos``: what it says, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chaos.__main__ import main
from chaos.faults import FAULTS, chosen
from tests.support.processes import ROOT
from tests.support.waiting import WITHIN


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chaos", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=2 * WITHIN)


def test_it_lists_every_fault_with_what_it_does_and_how_it_is_undone():
    listed = chaos("--list")
    assert listed.returncode == 0
    for fault in FAULTS.values():
        assert f"{fault.name} " in listed.stdout
        assert f"{fault.what}\n" in listed.stdout
        assert f"undone: {fault.undone} " in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faults", "kil"], "unknown fault 'kil'; --list shows all"),
        (
            ["--backend", "memory", "--faults", "power-cut"],
            "the memory backend (full) has no fault 'power-cut'; --list shows all",
        ),
        (
            ["--backend", "memory", "--jobs", "9000"],
            "--jobs must be at least 1 (in memory at most 8000), got 9000",
        ),
        (["--seconds", "0"], "--seconds must be from 1 to 86400, got 0"),
        (["--lease", "0.5"], "--lease must be from 1 to 600, got 0.5"),
        (["--workers", "0"], "--workers must be from 1 to 64, got 0"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["chaos", *arguments])
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == 2
    assert capsys.readouterr().err == f"chaos: {said} (see --help)\n"


def test_families_and_names_choose_each_fault_once():
    names = [fault.name for fault in chosen(["kill", "kill-worker", "network"], "redis")]
    assert len(names) == len(set(names))
    assert {"kill-worker", "kill-api", "kill-producer", "cut", "half-open"} <= set(names)
    assert "kill-amid-commit" not in names
