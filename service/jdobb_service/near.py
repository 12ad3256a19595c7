"""What a mistyped name may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the end of a sentence that names what is near, empty when nothing is."""
    found = difflib.get_close_matches(name, {word for word in known if not word.startswith("_")}, n=3)
    return f"; did you mean {' or '.join(prefix + word for word in found)}?" if found else ""
