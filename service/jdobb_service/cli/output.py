"""What the command prints: data to standard output, everything else to standard error.

Text of jobs comes from anywhere: control characters in it are shown, never sent to a terminal.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_GAP, _LEAST = 2, 12
_COLOURS = {
    **dict.fromkeys(("complete", "ok"), 32),
    **dict.fromkeys(("failed", "failure"), 31),
    **dict.fromkeys(("cancelled", "warning"), 33),
    "processing": 36,
}
"""Colours of words that fill a cell, by their numbers in control sequences."""
_BEYOND_JSON = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def document(value: Any) -> None:
    """Print one JSON document on one line."""
    print_data(json_text(value))


def print_data(text: str) -> None:
    """Print a line of data, at once, so that a reader down the pipe sees it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Tell the person something that is not data."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows in aligned columns under a head; the last column may be of any length."""
    for line in table_lines(head, rows, is_live=is_live_terminal()):
        print_data(line)


def table_lines(head: Sequence[str], rows: Iterable[Sequence[Any]], *, is_live: bool) -> list[str]:
    """Return the lines of a table; a terminal's are cut to its width, and say by colours what is good."""
    cells = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    if is_live:
        before = sum(widths[:-1]) + _GAP * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(_LEAST, shutil.get_terminal_size().columns - before))
    return [_aligned(line, widths, is_live=is_live, is_head=line is cells[0]) for line in cells]


def _aligned(line: list[str], widths: list[int], *, is_live: bool, is_head: bool) -> str:
    if len(line[-1]) > widths[-1]:
        line = [*line[:-1], line[-1][: widths[-1] - 1] + "…"]
    padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
    text = (" " * _GAP).join(padded).rstrip()
    if not is_live:
        return text
    if is_head:
        return f"\x1b[1m{text}\x1b[0m"
    coloured = [
        f"\x1b[{_COLOURS[cell]}m{shown}\x1b[0m" if cell in _COLOURS else shown
        for cell, shown in zip(line, padded, strict=True)
    ]
    return (" " * _GAP).join(coloured).rstrip()


def fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print names and values below each other; pairs whose value is None are left out."""
    shown = [(name, printable(value)) for name, value in pairs if value is not None]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        print_data(f"{name.ljust(width)}  {value}")


def json_text(value: Any) -> str:
    """Return JSON on one line, in the characters that standard output can take."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False)
    return _BEYOND_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable(value: Any) -> str:
    """Return a value as one line of text that is safe on a terminal."""
    if isinstance(value, dict | list):
        return json_text(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")
    text = "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def first_line(text: str | None) -> str | None:
    """Return the first line of a text, marked if there is more."""
    if text is None:
        return None
    line, newline, _ = text.strip().partition("\n")
    return f"{line} …" if newline else line


def is_live_terminal() -> bool:
    """Tell whether moving displays may be drawn on standard output."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain
