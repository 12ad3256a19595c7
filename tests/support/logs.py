"""What a log must not hold."""

from __future__ import annotations


def has_traceback(text: str) -> bool:
    """Tell whether there is a traceback, as text or as a line of JSON has it."""
    return "Traceback" in text or '"exception":' in text
