"""Command lines that cannot be used: refused in one line, as everything else is."""

from __future__ import annotations

import re
from typing import Any

import typer

from jdobb_service.cli.exits import ExitCode
from jdobb_service.cli.output import note, printable
from jdobb_service.near import near

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""What Typer raises for every such line; it exports only this one kind of it."""
_QUOTED = re.compile(r"'([^']*)'")


def refuse(error: Any) -> ExitCode:
    """Say what is wrong with a command line, what may have been meant, and where its help is."""
    said = _said(error)
    if said.startswith("Usage:"):  # the help, for want of arguments
        error.show()
    else:
        help_of = f" ({error.ctx.command_path} --help)" if error.ctx else ""
        note(printable(f"jdobb: {said[:1].lower()}{said[1:].rstrip('.')}{help_of}"))
    return ExitCode.USAGE


def _said(error: Any) -> str:
    if options := getattr(error, "possibilities", None):
        return f"{error.message}; did you mean {' or '.join(sorted(options))}?"
    said: str = error.format_message().replace("Value error, ", "")
    refused, is_choice, choices = said.partition(" is not one of ")
    if is_choice:
        return said.rstrip(".") + near(_QUOTED.findall(refused)[-1], _QUOTED.findall(choices))
    return said
