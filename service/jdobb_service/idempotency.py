"""``Idempotency-Key``: repeating a request gives the same job."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from jdobb_async_queue import Idempotency
from jdobb_service.operations import Call
from jdobb_service.problems import Problem

_BARE = re.compile(r"[!-~]{1,255}")
_QUOTED = re.compile(r'"((?:[!#-\[\]-~]|\\["\\]){1,255})"')
PATTERN = rf"^(?:[!#-~][!-~]{{0,254}}|{_QUOTED.pattern})$"
"""The same, for the document."""


def idempotency_of(call: Call, route: str, body: Any) -> Idempotency | None:
    """Return how the job is bound to the request's key, None without one.

    The key belongs to the caller and the route; the fingerprint is of the body as sent, whatever the order
    of its names. Raises ``Problem``: invalid-idempotency-key.
    """
    given = call.header(b"idempotency-key")
    if given is None:
        return None
    return Idempotency(
        scope=f"{call.caller.id} {route}", key=_key(given.strip()), fingerprint=fingerprint(body)
    )


def fingerprint(body: Any) -> str:
    """Return a digest that is equal for equal JSON."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _key(value: str) -> str:
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        return quoted[1].replace('\\"', '"').replace("\\\\", "\\")
    if value.startswith('"') or _BARE.fullmatch(value) is None:
        raise Problem("invalid-idempotency-key")
    return value
