"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jdobb_service.cli.exits import refusal_of


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``warning`` is worth a look, ``failure`` keeps something from working."""

    name: str
    verdict: Literal["ok", "warning", "failure"]
    detail: str
    remedy: str | None = None
    """What to do about it; None when all is well."""


def ok(name: str, detail: str) -> Finding:
    """Return that all is well."""
    return Finding(name, "ok", detail)


def warning(name: str, detail: str, remedy: str) -> Finding:
    """Return what is worth a look."""
    return Finding(name, "warning", detail, remedy)


def failure(name: str, detail: str | Exception, remedy: str) -> Finding:
    """Return what keeps something from working: words, or the error that said so."""
    said = detail if isinstance(detail, str) else str(refusal_of(detail)).replace("\n", "; ")
    return Finding(name, "failure", said, remedy)


def milliseconds(seconds: float) -> str:
    """Return a short time for people."""
    return f"{seconds * 1000:.1f} ms"
