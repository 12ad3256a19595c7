"""Who calls, and what they may do.

With API keys every request names one; without, whoever reaches the service on a loopback address may do
everything (or on any address, when the operator said so).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from jdobb_service.keys import ApiKey
from jdobb_service.problems import Problem

_NOBODY = "0" * 64
_CHALLENGE = 'Bearer realm="jobs"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: an API key, or anybody."""

    key: ApiKey | None = None

    @property
    def id(self) -> str:
        """Return the name for logs and for the scope of idempotency keys."""
        return "anonymous" if self.key is None else self.key.id

    @property
    def limited(self) -> bool:
        """Tell whether there are job types that the caller may not see."""
        return self.key is not None and bool(self.key.job_types)

    def may(self, scope: str) -> bool:
        """Tell whether the caller has a scope."""
        return self.key is None or self.key.allows(scope)

    def covers(self, job_type: str) -> bool:
        """Tell whether the caller may see jobs of this type."""
        return self.key is None or self.key.covers(job_type)


ANYBODY = Caller()


class Guard:
    """Checks API keys, and without any, the address that a request came in on."""

    def __init__(self, keys: Iterable[ApiKey], *, allow_anonymous: bool = False) -> None:
        self._callers = {key.sha256: Caller(key) for key in keys}
        self._open = allow_anonymous

    def admit(
        self, authorization: bytes | None, server: tuple[str, int | None] | None, *scopes: str
    ) -> Caller:
        """Return who calls, if they have one of the route's scopes; ``server`` is where the request came in.

        Raises ``Problem``: unauthenticated, insufficient-scope, insecure-address.
        """
        if not self._callers:
            if not self._open and not is_loopback(server):
                raise Problem("insecure-address")
            return ANYBODY
        caller = self._authenticate(authorization or b"")
        if not any(caller.may(scope) for scope in scopes):
            raise lacking(*scopes)
        return caller

    def _authenticate(self, authorization: bytes) -> Caller:
        scheme, _, secret = authorization.partition(b" ")
        digest = hashlib.sha256(secret).hexdigest()
        caller = self._callers.get(digest)
        known = _NOBODY if caller is None or caller.key is None else caller.key.sha256
        if not hmac.compare_digest(digest, known) or scheme.lower() != b"bearer" or caller is None:
            raise Problem("unauthenticated", headers={"www-authenticate": _CHALLENGE})
        return caller


def lacking(*scopes: str) -> Problem:
    """Return the refusal of a caller who has none of the scopes."""
    named = " or ".join(repr(scope) for scope in scopes)
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{" ".join(scopes)}"'
    return Problem(
        "insufficient-scope",
        f"This call needs an API key with the scope {named}.",
        headers={"www-authenticate": challenge},
    )


def is_loopback(server: tuple[str, int | None] | None) -> bool:
    """Tell whether the socket that a request came in on is bound to loopback (or to a file)."""
    return server is None or server[1] is None or is_loopback_address(server[0])


@lru_cache(maxsize=64)
def is_loopback_address(text: str) -> bool:
    """Tell whether an address (or ``localhost``) is reached from this machine only."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
