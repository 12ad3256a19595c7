"""A job's data on the command line: a JSON object that is given there, in a file or on standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.interrupts import read_blocking
from jdobb_service.cli.output import note


def read_data(given: str | None) -> dict[str, Any]:
    """Return the JSON object that an argument holds or points at."""
    if given is None:
        return {}
    return parse_object(*_text(given))


def parse_object(place: str, text: str, *, is_line: bool = False) -> dict[str, Any]:
    """Return the JSON object that a text is. Raises ``Refusal``, which names the place of the text."""
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except RecursionError:
        raise _unusable(place, "is nested too deep") from None
    except json.JSONDecodeError as error:
        line = "" if is_line else f"line {error.lineno}, "
        where = f"{error.msg} at {line}column {error.colno}"
        raise _unusable(place, f"is not JSON: {where}") from None
    except ValueError as error:
        raise _unusable(place, f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise _unusable(place, f'must be a JSON object such as {{"to": "ada"}}, got {type(value).__name__}')
    return value


def _text(given: str) -> tuple[str, str]:
    """Return a name for where the data came from, and the text."""
    if given != "-" and not given.startswith("@"):
        return "data", given
    if given == "@":
        raise _unusable("data", "in a file needs its name, such as @job.json")
    place = "data on standard input" if given == "-" else f"data in {given[1:]}"
    try:
        return place, (_standard_input() if given == "-" else Path(given[1:]).read_bytes()).decode(
            "utf-8-sig"
        )
    except OSError as error:
        raise _unusable(place, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _unusable(place, f"is not UTF-8 at byte {error.start}") from None


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        note("reading the data from the terminal; Ctrl-D ends it")
    data: bytes = read_blocking(sys.stdin.buffer.read)
    return data


def _distinct(pairs_: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs_)
    if len(found) != len(pairs_):
        message = "a name occurs twice in one object"
        raise ValueError(message)
    return found


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not a JSON number"
    raise ValueError(message)


def _unusable(place: str, why: str) -> Refusal:
    return Refusal(ExitCode.USAGE, f"{place} {why}")
