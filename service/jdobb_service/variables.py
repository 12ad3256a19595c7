"""Variables of the environment that look like settings and are none."""

from __future__ import annotations

import os

from jdobb_service.near import near
from jdobb_service.settings import FILE_VARIABLE, PREFIX, Settings

_OTHER_VARIABLES = {FILE_VARIABLE, f"{PREFIX}URL", f"{PREFIX}API_KEY"}
"""Variables that are no settings of the service, but of the command or of where settings are."""


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
