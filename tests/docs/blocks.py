"""The code in a Markdown page, and how to run it as it stands."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"```(\w+)")
_TITLE = re.compile(r"#+ (.+)|([A-Z][A-Z-]+(?: [A-Z-]+)*)(?: \(.*\))?:")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, the title above it, where it begins, and its words."""

    page: str
    language: str
    title: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.title} ({self.page}:{self.line})"


def blocks_of(page: str, *languages: str) -> list[Block]:
    """Return the blocks in these languages; a fence without a language is looked through."""
    return [block for block in _blocks(page) if block.language in languages]


def _blocks(page: str) -> Iterator[Block]:
    title = ""
    lines = enumerate(ROOT.joinpath(page).read_text(encoding="utf-8").splitlines(), 1)
    for number, line in lines:
        if fence := _FENCE.fullmatch(line):
            inside = takewhile(lambda item: item[1] != "```", lines)
            text = "".join(f"{inner}\n" for _, inner in inside)
            yield Block(page, fence[1], title, number, text)
        elif heading := _TITLE.fullmatch(line):
            title = heading[1] or heading[2]


async def run_block(text: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run Python as it stands, with ``await`` allowed, among these names; return all names afterwards."""
    code = compile(text, "<block>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    running = eval(code, names)  # noqa: S307 - the page's own words
    if inspect.isawaitable(running):
        await running
    return names


def table(page: str, title: str) -> list[list[str]]:
    """Return the cells of the first table below a title, without its head."""
    below = ROOT.joinpath(page).read_text(encoding="utf-8").split(f"\n## {title}\n")[1]
    lines = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)*)", below, re.MULTILINE)
    assert lines is not None
    return [re.split(r" *(?<!\\)\| *", line.strip("| ")) for line in lines[1].splitlines()]


def calls_in(cell: str) -> set[tuple[str, str]]:
    """Return the calls that a cell names: method and path."""
    return set(re.findall(r"(GET|POST|PUT|DELETE) (/[^`]*)", cell))
