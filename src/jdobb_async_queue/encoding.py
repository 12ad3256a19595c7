"""JSON objects in and out: encoded once on the way in, never parsed by a backend.

What every language reads back alike is accepted, anything else is refused before it is stored.
"""

from __future__ import annotations

import json
import math
from enum import Enum
from typing import Any

from pydantic_core import from_json, to_json

from jdobb_async_queue.errors import PayloadTooLarge, cut, shown

MAX_DEPTH = 64
_MAX_INT = 2**63 - 1
_MIN_INT = -(2**63)

EMPTY = b"{}"


def encode_object(value: Any, field: str, limit: int) -> bytes:
    """Return the JSON bytes of a JSON object.

    Raises ``TypeError`` for what JSON has no word for, ``ValueError`` for NaN, infinities, lone
    surrogates, integers beyond 64 bits and nesting deeper than 64, ``PayloadTooLarge`` beyond ``limit``
    bytes; each names ``field`` and the place inside it (its first 80 characters).
    """
    if type(value) is not dict and not isinstance(value, dict):
        msg = f"{field} must be a JSON object (dict), got {type(value).__name__}"
        raise TypeError(msg)
    if not value:
        return EMPTY
    _check_object(value, field, 1)
    encoded: bytes = to_json(value)
    if len(encoded) > limit:
        raise PayloadTooLarge(field, len(encoded), limit)
    return encoded


def decode_object(encoded: bytes) -> dict[str, Any]:
    """Return a fresh dict of stored JSON bytes."""
    if encoded == EMPTY:
        return {}
    value: dict[str, Any] = from_json(encoded)
    return value


def canonical(encoded: bytes) -> str:
    """Return one text for all JSON texts of equal content: keys sorted, no spaces."""
    return json.dumps(json.loads(encoded), sort_keys=True, separators=(",", ":"))


def check_text(value: Any, field: str) -> str:
    """Return ``value`` if every backend can store it; lone surrogates raise ``ValueError``."""
    if not isinstance(value, str):
        msg = f"{field} must be a string, got {type(value).__name__}"
        raise TypeError(msg)
    try:
        value.encode()
    except UnicodeEncodeError:
        msg = f"{field} holds a lone surrogate, which is not Unicode text"
        raise ValueError(msg) from None
    return value


def _check_object(value: dict[Any, Any], path: str, depth: int) -> None:
    _check_depth(path, depth)
    for key, item in value.items():
        if not isinstance(key, str):
            msg = f"{cut(path)}: keys must be strings, got {shown(key)}"
            raise TypeError(msg)
        if not key.isascii():
            check_text(key, f"a key in {cut(path)}")
        _check_value(item, path, key, depth)


def _check_value(item: Any, path: str, key: str | int, depth: int) -> None:  # noqa: C901 - one branch per JSON type
    kind = type(item)
    if kind is str:
        if not item.isascii():
            check_text(item, cut(f"{path}.{key}"))
    elif item is None or kind is bool:
        return
    elif kind is int:
        if not _MIN_INT <= item <= _MAX_INT:
            msg = f"{cut(f'{path}.{key}')} is an integer beyond 64 bits"
            raise ValueError(msg)
    elif kind is float:
        if not math.isfinite(item):
            msg = f"{cut(f'{path}.{key}')} must be a finite number, got {item!r}"
            raise ValueError(msg)
    elif kind is dict:
        _check_object(item, f"{path}.{key}", depth + 1)
    elif kind is list or kind is tuple:
        _check_depth(path, depth + 1)
        for index, element in enumerate(item):
            _check_value(element, f"{path}.{key}", index, depth + 1)
    else:
        _check_subclass(item, path, key, depth)


def _check_subclass(item: Any, path: str, key: str | int, depth: int) -> None:
    bases: tuple[Any, ...] = (str, int, float, dict, list)
    for base in bases:
        if isinstance(item, base):
            _check_value(base(item.value if isinstance(item, Enum) else item), path, key, depth)
            return
    msg = f"{cut(f'{path}.{key}')} is not JSON: {type(item).__name__}"
    raise TypeError(msg)


def _check_depth(path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        msg = f"{cut(path)} is nested deeper than {MAX_DEPTH} levels"
        raise ValueError(msg)
