"""Who calls, and what they may do.

With API keys every request names one; without, whoever reaches the service on a loopback address may do
everything (or on any address, when the operator said so).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from jdobb_async_queue import Job
from jdobb_service.keys import ApiKey
from jdobb_service.problems import Problem
from jdobb_service.signing import EVENTS, SESSION, Signer, job_digest

_NOBODY = "0" * 64
_CHALLENGE = 'Bearer realm="jobs"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: an API key, or anybody."""

    key: ApiKey | None = None
    jobs: frozenset[bytes] | None = None
    """The digests of the only jobs that a signed address is for; None for all."""

    @property
    def id(self) -> str:
        """Return the name for logs and for the scope of idempotency keys."""
        return "anonymous" if self.key is None else self.key.id

    @property
    def limited(self) -> bool:
        """Tell whether there are job types that the caller may not see."""
        return self.jobs is not None or (self.key is not None and bool(self.key.job_types))

    def sees(self, job: Job) -> bool:
        """Tell whether the job exists for the caller."""
        if self.jobs is not None and job_digest(job.id) not in self.jobs:
            return False
        return self.key is None or self.key.covers(job.job_type)

    def may(self, scope: str) -> bool:
        """Tell whether the caller has a scope."""
        return self.key is None or self.key.allows(scope)

    def covers(self, job_type: str) -> bool:
        """Tell whether the caller may see jobs of this type."""
        return self.jobs is None and (self.key is None or self.key.covers(job_type))


ANYBODY = Caller()


class Guard:
    """Checks API keys, and without any, the address that a request came in on."""

    def __init__(
        self, keys: Iterable[ApiKey], signer: Signer | None = None, *, allow_anonymous: bool = False
    ) -> None:
        self._callers = {key.sha256: Caller(key) for key in keys}
        self._by_id = {caller.id: caller for caller in self._callers.values()} or {ANYBODY.id: ANYBODY}
        self._signer = Signer(None) if signer is None else signer
        self._open = allow_anonymous

    def admit(
        self,
        authorization: bytes | None,
        server: tuple[str, int | None] | None,
        *scopes: str,
        sig: str | None = None,
        session: str | None = None,
    ) -> Caller:
        """Return who calls, if they have one of the route's scopes; ``server`` is where the request came in.

        ``sig`` and ``session`` are what was signed for an address or a browser, where the route takes one;
        an API key wins over them.
        Raises ``Problem``: unauthenticated, insufficient-scope, insecure-address.
        """
        if not self._callers and not self._open and not is_loopback(server):
            raise Problem("insecure-address")
        if authorization is None and sig is not None:
            caller = self._signed(EVENTS, sig)
        elif not self._callers:
            return ANYBODY
        elif authorization is None and session is not None:
            caller = self._signed(SESSION, session)
        else:
            caller = self._authenticate(authorization or b"")
        if not any(caller.may(scope) for scope in scopes):
            raise lacking(*scopes)
        return caller

    def _signed(self, purpose: str, text: str) -> Caller:
        found = self._signer.verify(purpose, text)
        caller = None if found is None else self._by_id.get(found.caller)
        if found is None or caller is None:
            raise unauthenticated()
        return replace(caller, jobs=found.jobs) if purpose == EVENTS else caller

    def _authenticate(self, authorization: bytes) -> Caller:
        scheme, _, secret = authorization.partition(b" ")
        digest = hashlib.sha256(secret).hexdigest()
        caller = self._callers.get(digest)
        known = _NOBODY if caller is None or caller.key is None else caller.key.sha256
        if not hmac.compare_digest(digest, known) or scheme.lower() != b"bearer" or caller is None:
            raise unauthenticated()
        return caller


def unauthenticated(detail: str | None = None) -> Problem:
    """Return the refusal of a caller who is not known."""
    return Problem("unauthenticated", detail, headers={"www-authenticate": _CHALLENGE})


def lacking(*scopes: str) -> Problem:
    """Return the refusal of a caller who has none of the scopes."""
    named = " or ".join(repr(scope) for scope in scopes)
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{" ".join(scopes)}"'
    return Problem(
        "insufficient-scope",
        f"This call needs an API key with the scope {named}.",
        headers={"www-authenticate": challenge},
    )


def not_for_type(places: Iterable[dict[str, str]] = ()) -> Problem:
    """Return the refusal of a caller whose key is not for a job type; ``places`` name it."""
    return Problem("insufficient-scope", "The API key is not for this job type.", errors=places)


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
