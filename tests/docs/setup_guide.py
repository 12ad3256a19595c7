"""The pieces of the user's setup guide."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.docs.blocks import ROOT, blocks_of

GUIDE = "docs/setup-guide.md"
PYTHON = {block.title: block.text for block in blocks_of(GUIDE, "python")}
SPEC: dict[str, Any] = yaml.safe_load(blocks_of(GUIDE, "yaml")[0].text)
PATTERNS: dict[str, str] = SPEC["patterns"]
QUEUES: dict[str, str] = {name: backend["config"] for name, backend in SPEC["backends"].items()}


def pieces() -> dict[str, str]:
    """Return every piece of Python in the guide by a name for it."""
    return PYTHON | PATTERNS | {f"backends.{name}": config for name, config in QUEUES.items()}


def prompt_section(title: str) -> str:
    """Return a section of the guide's prompt, from its title to the next blank line."""
    text = ROOT.joinpath(GUIDE).read_text(encoding="utf-8")
    found = re.search(rf"^{title}:\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]
