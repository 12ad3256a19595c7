"""Secrets that came where they do not belong, into addresses above all: logs and problems show ``***``."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from jdobb_service import keys, signing

_MASK = "***"
_SECRET = re.compile(rf"(?:{keys.LOOKS}|{signing.LOOKS})")
_NAME = re.compile(r"key|token|secret|sig$|signature|auth|pass|session|credential|bearer|jwt", re.IGNORECASE)
"""Names of parameters whose value is a secret, whatever that looks like."""


def masked(text: str) -> str:
    """Return a text without what looks like an API key or like what the service signs."""
    return _SECRET.sub(_MASK, text)


def masked_query(query: bytes) -> str:
    """Return a query string without secrets, by their names and by their looks."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    shown = [(masked(name), _MASK if _NAME.search(name) else masked(value)) for name, value in pairs]
    return urlencode(shown, safe="*")
