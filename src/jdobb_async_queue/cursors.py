"""List cursors: opaque to users, bound to the filters of the list that gave them out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from jdobb_async_queue.errors import InvalidCursor

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import ListQuery

_VERSION = 1


def encode_cursor(query: ListQuery, last: tuple[int, ...]) -> str:
    """Return the cursor of the page that follows ``last``."""
    raw = json.dumps([_VERSION, _filters(query), *last], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def continued(query: ListQuery, cursor: str) -> ListQuery:
    """Return the query that goes on where ``cursor`` says. Raises ``InvalidCursor``."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        version, filters, *last = json.loads(raw)
    except (ValueError, TypeError, binascii.Error, AttributeError, RecursionError):
        msg = "cursor is not one that this list gave out"
        raise InvalidCursor(msg) from None
    width = 1 if query.status is None else 3 if query.status == "pending" else 2
    whole = len(last) == width and all(type(part) is int and abs(part) < 2**63 for part in last)
    if version != _VERSION or filters != _filters(query) or not whole:
        msg = "cursor belongs to a list with other filters"
        raise InvalidCursor(msg)
    return replace(query, after=tuple(last))


def _filters(query: ListQuery) -> str:
    identity = repr(replace(query, limit=0, after=None, examine=0)).encode()
    return hashlib.sha256(identity).hexdigest()[:16]
