"""One column of a CSV file: its type, nulls, extremes and distinct values, in bounded memory."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timezone
from typing import Any

MAX_SHOWN = 100
"""Characters of a name or a text that are shown and compared; a longer value is never a number or date."""

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEAN = re.compile("true|false", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{3}|\.[0-9]{6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
_TIME = re.compile(rf"{_DATE.pattern}[T ]{_CLOCK}")


class Column:
    """A column. Its type is the narrowest that fits every value; an empty field is a null.

    Distinct values are counted exactly up to ``max_distinct``.
    """

    def __init__(self, name: str, max_distinct: int) -> None:
        self._name = name[:MAX_SHOWN]
        self._nulls = 0
        self._type: str | None = None
        self._extremes: list[tuple[Any, str]] = []
        self._texts: list[str] = []
        self._max_distinct = max_distinct
        self._seen: set[int] | None = set()

    def add(self, values: tuple[str, ...]) -> None:
        """Count the values of some more rows."""
        distinct = set(values)
        if "" in distinct:
            distinct.remove("")
            self._nulls += values.count("")
        if distinct:
            self._texts = _extremes([*self._texts, *(value[:MAX_SHOWN] for value in distinct)])
            self._widen(distinct)
            self._count(distinct)

    def profile(self) -> dict[str, Any]:
        """Return what was found; ``distinct_is`` tells whether ``distinct`` is exact or a lower bound."""
        extremes: list[Any] = self._texts or [None]
        if self._extremes:
            is_number = self._type in {"integer", "number"}
            extremes = [key if is_number else value for key, value in self._extremes]
        return {
            "name": self._name,
            "type": self._type or "empty",
            "nulls": self._nulls,
            "min": extremes[0],
            "max": extremes[-1],
            "distinct": self._max_distinct if self._seen is None else len(self._seen),
            "distinct_is": "at least" if self._seen is None else "exact",
        }

    def _widen(self, distinct: set[str]) -> None:
        """Keep the type while every value fits it, else take the next wider one that fits them all."""
        known = {value for _, value in self._extremes}
        for name in _WIDER[self._type]:
            try:
                keyed = [(_KEYS[name](value), value) for value in distinct | known] if name in _KEYS else []
            except ValueError:
                continue
            self._type, self._extremes = name, _extremes(keyed)
            return

    def _count(self, distinct: set[str]) -> None:
        if self._seen is not None:
            self._seen.update(map(hash, distinct))
            if len(self._seen) > self._max_distinct:
                self._seen = None


def _integer(value: str) -> int:
    number = int(_fitting(_INTEGER, value))
    if not -(2**63) <= number < 2**63:
        raise ValueError(value)
    return number


def _number(value: str) -> float:
    number = float(_fitting(_NUMBER, value))
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _boolean(value: str) -> bool:
    return _fitting(_BOOLEAN, value).lower() == "true"


def _date(value: str) -> date:
    return date.fromisoformat(_fitting(_DATE, value))


def _time(value: str) -> datetime:
    time = datetime.fromisoformat(_fitting(_TIME, value).replace("Z", "+00:00"))
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _fitting(pattern: re.Pattern[str], value: str) -> str:
    if len(value) > MAX_SHOWN or pattern.fullmatch(value) is None:
        raise ValueError(value)
    return value


def _extremes(values: Iterable[Any]) -> list[Any]:
    found = list(values)
    return [min(found), max(found)] if found else []


_KEYS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _time,
}
"""How the values of a type compare; each raises ``ValueError`` for what is none."""

_WIDER: dict[str | None, tuple[str, ...]] = {
    None: ("integer", "number", "boolean", "date", "datetime", "text"),
    "integer": ("integer", "number", "text"),
    "number": ("number", "text"),
    "boolean": ("boolean", "text"),
    "date": ("date", "text"),
    "datetime": ("datetime", "text"),
    "text": ("text",),
}
"""What a column may be after some values: what it is, then what is wider."""
