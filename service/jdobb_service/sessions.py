"""Sessions of browsers: a cookie in place of an API key, for the service's own pages; and whose page asks."""

from __future__ import annotations

from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie

from jdobb_service.problems import Problem

COOKIE = "jdobb_session"
LIFETIME = 43_200
"""Seconds."""


def session_of(headers: dict[bytes, bytes], method: str) -> str | None:
    """Return the session that a request's cookie holds, None for none.

    Raises ``Problem`` foreign-origin when such a request would change something and does not come from a page
    of the host that it is sent to.
    """
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    if found is None:
        return None
    if method != "GET" and not is_own_origin(headers):
        raise Problem("foreign-origin")
    return found.value


def is_own_origin(headers: dict[bytes, bytes]) -> bool:
    """Tell whether the page that sends a request is of the host that it is sent to."""
    _, found, origin = headers.get(b"origin", b"").lower().partition(b"://")
    return bool(found) and origin == headers.get(b"host", b"").lower()


def is_foreign(headers: dict[bytes, bytes], allowed: Collection[str]) -> bool:
    """Tell whether a request comes from a page of another origin that is not ``allowed``.

    Browsers name the page's origin with whatever may change something; other clients name none.
    """
    origin = headers.get(b"origin")
    if origin is None or is_own_origin(headers) or headers.get(b"sec-fetch-site") == b"same-origin":
        return False
    return "*" not in allowed and origin.decode("latin-1") not in allowed


def cookie(value: str, *, path: str, secure: bool, lifetime: int = LIFETIME) -> str:
    """Return the header that sets the cookie; with a ``lifetime`` of 0, one that removes it."""
    parts = [f"{COOKIE}={value}", f"Path={path}", f"Max-Age={lifetime}", "HttpOnly", "SameSite=Strict"]
    return "; ".join([*parts, "Secure"] if secure else parts)
