"""The statements of ``queries.sql``, by name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_SECTION = re.compile(r"^-- (name|part): (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*$", re.MULTILINE)
_PART = re.compile(r"\{(\w+)\}")

MOST_ROWS = 32
"""How many rows one statement inserts at most: no SQLite takes fewer values than this needs."""


def read_sql(file: str) -> str:
    """Return a file of SQL that lies beside this module."""
    return (files(__package__) / file).read_text(encoding="utf-8")


def parse(text: str) -> dict[str, str]:
    """Return the statements by name, with the parts they refer to filled in."""
    pieces = _SECTION.split(text)
    parts: dict[str, str] = {}
    statements: dict[str, str] = {}
    for kind, name, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        known = parts if kind == "part" else statements
        if name in parts or name in statements:
            raise ValueError(f"queries.sql has {name} twice")
        known[name] = _COMMENT.sub("", body).strip()
    return {
        name: _PART.sub(lambda match: parts[match[1]], statement) for name, statement in statements.items()
    }


SQL = parse(read_sql("queries.sql"))


@cache
def inserting(name: str, rows: int) -> str:
    """Return the statement of this name, which inserts one row, for so many."""
    head, values, row = SQL[name].rpartition("VALUES ")
    return f"{head}{values}{', '.join([row] * rows)}"
