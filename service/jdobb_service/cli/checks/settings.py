"""Which settings are in force, and where they came from."""

from __future__ import annotations

import os
from pathlib import Path

from jdobb_service.cli.checks.finding import Finding, ok
from jdobb_service.setting_sources import shown_settings
from jdobb_service.settings import DEFAULT_FILE, FILE_VARIABLE, Settings


def settings_finding(settings: Settings, arguments: set[str]) -> Finding:
    """Return where each setting came from that is not a default."""
    sources = [
        f"{item.name} from {_place(item.source)}"
        for item in shown_settings(settings, arguments)
        if item.source != "default"
    ]
    return ok("settings", f"{', '.join([*sources, 'the rest'])} by default" if sources else "all by default")


def _place(source: str) -> str:
    if source == "file":
        return os.environ.get(FILE_VARIABLE) or str(Path(DEFAULT_FILE))
    return f"the {source}"
