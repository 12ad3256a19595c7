"""Where the value of each setting came from, and the values without what is secret."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from jdobb_service.keys import ApiKey
from jdobb_service.masking import MASK, without_password
from jdobb_service.near import near
from jdobb_service.settings import FILE_VARIABLE, PREFIX, Settings, read_file

_OTHER_VARIABLES = {FILE_VARIABLE, f"{PREFIX}URL", f"{PREFIX}API_KEY"}
"""Variables that are no settings of the service, but of the command or of where settings are."""

Source = Literal["argument", "environment", "file", "default"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in force, as it may be shown."""

    name: str
    value: Any
    source: Source


def shown_settings(settings: Settings, arguments: Collection[str] = ()) -> list[Setting]:
    """Return all settings with their sources; ``arguments`` are the names that arguments gave."""
    variables = {name.upper() for name in os.environ}
    in_file = read_file()

    def source(name: str) -> Source:
        if name in arguments:
            return "argument"
        if f"{PREFIX}{name}".upper() in variables:
            return "environment"
        return "file" if name in in_file else "default"

    names = type(settings).model_fields
    return [Setting(name, _shown(name, getattr(settings, name)), source(name)) for name in names]


def unknown_variables(*, only_mistyped: bool = False) -> list[str]:
    """Return a sentence for each variable of the environment that looks like a setting and is none.

    Other programs may have reasons for such names; ``only_mistyped`` leaves out what is near no setting.
    """
    known = {name.upper() for name in Settings.model_fields}
    found = []
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(PREFIX)
        if variable.upper() in _OTHER_VARIABLES or not variable.upper().startswith(PREFIX) or name in known:
            continue
        meant = near(name, known, prefix=PREFIX)
        if meant or not only_mistyped:
            found.append(f"{variable} is no setting{meant}")
    return found


def _shown(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "backend_url":
        return without_password(value)
    if name == "api_keys":
        return [_masked_key(key) for key in value]
    return MASK if name == "signing_secret" else to_jsonable_python(value)


def _masked_key(key: ApiKey) -> str:
    return str(key).replace(key.sha256, MASK)
