"""``jdobb config show``."""

from __future__ import annotations

from typing import Any

from jdobb_service.cli.options import AsJson, BackendUrl, Namespace
from jdobb_service.cli.output import document, note, table


def show(*, as_json: AsJson = False, backend_url: BackendUrl = None, namespace: Namespace = None) -> None:
    """Show every setting with its value and where that came from; secrets are masked.

    jdobb config show
    jdobb config show --json | jq .backend_url
    """
    from jdobb_service.setting_sources import shown_settings
    from jdobb_service.settings import load_settings
    from jdobb_service.variables import unknown_variables

    arguments = {"backend_url": backend_url, "namespace": namespace}
    given = {name for name, value in arguments.items() if value is not None}
    found = shown_settings(load_settings(**arguments), given)
    for said in unknown_variables():
        note(f"jdobb: {said}")
    if as_json:
        document({item.name: {"value": item.value, "source": item.source} for item in found})
        return
    table(("SETTING", "SOURCE", "VALUE"), ((item.name, item.source, _text(item.value)) for item in found))


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else value
