"""Strict JSON in, checked values out.

What two parsers might read differently is refused: repeated names, NaN, text that is not UTF-8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from jdobb_service.problems import Problem, invalid, pointer

MAX_DEPTH = 64
_ENVELOPE = 4
_MAX_INT = 2**63 - 1
_MIN_INT = -(2**63)

M = TypeVar("M", bound=BaseModel)


def decode(raw: bytes) -> Any:
    """Return the value of a JSON text. Raises ``Problem``: malformed-json or validation."""
    try:
        text = raw.decode()
        value = _STRICT.decode(text)
    except UnicodeDecodeError as error:
        raise Problem("malformed-json", f"The body is not UTF-8 at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        detail = f"The body is not JSON at line {error.lineno}, column {error.colno}."
        raise Problem("malformed-json", detail if raw.strip() else "The body is empty.") from None
    except _NotFinite:
        raise invalid("#", "NaN and Infinity are not JSON numbers") from None
    except _RepeatedName:
        raise invalid(_find_repeated(text), "the name occurs twice in one object") from None
    except RecursionError:
        raise invalid("#", f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise invalid("#", "an integer is beyond 64 bits") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH + _ENVELOPE:
        _check_depth(value)
    return value


def checked(model: type[M], value: Any, *prefix: str) -> M:
    """Return ``value`` as ``model``. Raises the 422 whose pointers begin with ``prefix``."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise refused(error, *prefix) from None
    except RecursionError:
        raise invalid(pointer(*prefix), f"nested deeper than {MAX_DEPTH} levels") from None


def refused(error: ValidationError, *prefix: str) -> Problem:
    """Return the 422 of a value that does not fit its model."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = [
        {
            "pointer": pointer(*prefix, *item["loc"]),
            "detail": _DETAILS.get(item["type"]) or _message(item["msg"]),
        }
        for item in found[:50]
    ]
    return Problem("validation", errors=places)


def _message(text: str) -> str:
    return text.removeprefix("Value error, ").removeprefix("Assertion failed, ")


_DETAILS = {
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "extra_forbidden": "unknown field",
    "missing": "required",
    "string_unicode": "holds a lone surrogate, which is not Unicode text",
    "union_tag_invalid": "is none of the known kinds",
}


def check_values(value: Any, *path: str | int) -> None:
    """Refuse what JSON allows and other languages or stores do not read back alike.

    That is: numbers beyond 64 bits or beyond doubles, lone surrogates, nesting deeper than 64.
    """
    if isinstance(value, dict | list) and len(path) > MAX_DEPTH:
        raise invalid(pointer(path[0]), f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, *path)
            check_values(item, *path, name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_values(item, *path, index)
    elif isinstance(value, str):
        _check_text(value, *path)
    elif isinstance(value, float) and not math.isfinite(value):
        raise invalid(pointer(*path), "the number is too large")
    elif isinstance(value, int) and not _MIN_INT <= value <= _MAX_INT:
        raise invalid(pointer(*path), "the integer is beyond 64 bits")


def _check_text(text: str, *path: str | int) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(pointer(*path), "holds a lone surrogate, which is not Unicode text") from None


def _check_depth(value: Any) -> None:
    """Refuse what is nested deeper than a value of greatest depth inside a request."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + _ENVELOPE):
        level = [item for part in level if isinstance(part, dict | list) for item in _items(part)]
        if not level:
            return
    raise invalid("#", f"nested deeper than {MAX_DEPTH} levels")


def _items(part: dict[str, Any] | list[Any]) -> Any:
    return part.values() if isinstance(part, dict) else part


class _NotFinite(ValueError):  # noqa: N818 - reads as the fact that it states
    """NaN, Infinity or -Infinity, which Python's parser takes and JSON does not have."""


class _RepeatedName(ValueError):  # noqa: N818 - reads as the fact that it states
    """A name that occurs twice in one object."""


def _refuse_constant(_name: str) -> NoReturn:
    raise _NotFinite


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedName
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_refuse_constant)


def _find_repeated(text: str) -> str:
    """Return the pointer to the first name that occurs twice."""
    marks: list[tuple[dict[str, Any], str]] = []

    def mark(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, item in pairs:
            if name in found and not marks:
                marks.append((found, name))
            found[name] = item
        return found

    try:
        value = json.loads(text, object_pairs_hook=mark)
        place = next(path for path, part in _walk(value, ()) if part is marks[0][0])
    except (ValueError, RecursionError):
        return "#"
    return pointer(*place, marks[0][1])


def _walk(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
        for name, item in value.items():
            yield from _walk(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))
