"""Which settings are in force, and where they came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jdobb_service.cli.checks.finding import Finding, ok, warning
from jdobb_service.setting_sources import shown_settings
from jdobb_service.settings import DEFAULT_FILE, FILE_VARIABLE, Settings
from jdobb_service.variables import unknown_variables


def settings_findings(settings: Settings, arguments: set[str]) -> Iterator[Finding]:
    """Tell where each setting came from that is not a default, and which variables set nothing."""
    sources = [
        f"{item.name} from {_place(item.source)}"
        for item in shown_settings(settings, arguments)
        if item.source != "default"
    ]
    yield ok("settings", f"{', '.join([*sources, 'the rest'])} by default" if sources else "all by default")
    for said in unknown_variables():
        yield warning("variables", said, "correct its name, or unset it; jdobb config show lists all")


def _place(source: str) -> str:
    if source == "file":
        return os.environ.get(FILE_VARIABLE) or str(Path(DEFAULT_FILE))
    return f"the {source}"
