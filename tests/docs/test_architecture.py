"""The map in ARCHITECTURE.md shows every room, and the layers that the import contracts prove."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT

PAGE = ROOT.joinpath("ARCHITECTURE.md").read_text(encoding="utf-8")
LIBRARY = ROOT / "src/jdobb_async_queue"


def drawing(title: str) -> str:
    found = re.search(rf"^## {title}\n.*?^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_every_module_of_the_library_is_on_the_map():
    tree = drawing("The tree")
    modules = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py"} - {"__init__"}
    packages = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert {name for name in modules | packages if not re.search(rf"\b{name}\b", tree)} == set()


def test_the_layers_are_those_that_are_checked():
    text = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")
    contract = text.split('name = "The library\'s layers: upper imports lower"')[1]
    layers = re.findall(r'^ {4}"(.+)"', contract.split("\n]\n")[0], re.MULTILINE)
    expected = [layer.replace("(", "").replace(")", "") for layer in layers]
    shown = [line.split(" ─")[0] for line in drawing("Who imports whom").splitlines()]
    assert [line for line in shown if line in expected] == expected
