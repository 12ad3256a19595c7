"""Every promise of docs/guarantees.md names a test that exists, or a run that can be made."""

from __future__ import annotations

import ast
import re
import shlex

import pytest

from chaos.__main__ import _parser
from chaos.faults import chosen
from chaos.options import Options
from tests.docs.blocks import ROOT

PAGE = ROOT.joinpath("docs/guarantees.md").read_text(encoding="utf-8")
ROWS = [
    line
    for table in re.findall(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    for line in table.splitlines()
]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
SHOWN = re.compile(r"`(tests/[\w/]+\.py::test_\w+|scripts/chaos [^`]+)`")
RUNS = sorted(set(re.findall(r"`(scripts/chaos --backend [^`]+)`", PAGE)))


def functions_of(path: str) -> set[str]:
    tree = ast.parse(ROOT.joinpath(path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_row_names_what_shows_it():
    assert len(ROWS) > 40
    assert [
        row for row in ROWS if not re.search(r"`(tests/[\w/]+\.py::test_\w+|scripts/chaos [^`]+)`", row)
    ] == []


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_each_named_test_exists(path: str, name: str):
    assert name in functions_of(path)


@pytest.mark.parametrize("command", RUNS)
def test_each_named_run_can_be_made_again(command: str, tmp_path):
    arguments = _parser().parse_args(shlex.split(command)[1:])
    faults = chosen(arguments.faults.split(","), arguments.backend, arguments.durability)
    Options(
        backend=arguments.backend,
        faults=tuple(faults),
        folder=tmp_path,
        seconds=arguments.seconds,
        jobs=arguments.jobs,
        lease=arguments.lease,
        workers=arguments.workers,
        most_gap=arguments.gap,
    )
    assert "--seed" in command
