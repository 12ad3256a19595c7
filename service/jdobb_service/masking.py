"""Secrets that came into what is shown: logs, problems and terminals have ``***`` in their place."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from jdobb_service import keys, signing

MASK = "***"
_LONGEST = 256
_SECRET = re.compile(rf"(?:{keys.LOOKS}|{signing.LOOKS})")
_NAME = re.compile(r"key|token|secret|sig$|signature|auth|pass|session|credential|bearer|jwt", re.IGNORECASE)
"""Names of parameters whose value is a secret, whatever that looks like."""


def masked(text: str) -> str:
    """Return a text without what looks like an API key or like what the service signs."""
    if keys.BEGINNING not in text and signing.BEGINNING not in text:  # as almost all are, and soon known
        return text
    return _SECRET.sub(MASK, text)


def shown_path(path: str) -> str:
    """Return a path as it is logged: without secrets, and cut."""
    return masked(path)[:_LONGEST]


def shown_query(query: bytes) -> str:
    """Return a query string as it is logged: without secrets, by their names and by their looks, and cut."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    shown = [(masked(name), MASK if _NAME.search(name) else masked(value)) for name, value in pairs]
    return urlencode(shown, safe="*")[:_LONGEST]


def without_password(url: str) -> str:
    """Return a backend's URL without what may be secret: credentials, and the values of its options."""
    scheme, separator, rest = url.partition("://")
    place, mark, options = rest.partition("?")
    _, at, host = place.rpartition("@")
    names = [pair.partition("=")[0] for pair in options.split("&")]
    shown = f"{scheme}{separator}{f'{MASK}@{host}' if at else place}"
    return shown + mark + "&".join(f"{name}={MASK}" for name in names) if mark else shown
