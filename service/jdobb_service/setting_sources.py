"""Where the value of each setting came from, and the values without what is secret."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from jdobb_service.keys import ApiKey
from jdobb_service.masking import MASK, without_password
from jdobb_service.settings import PREFIX, Settings, read_file

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
