"""What the service signs: addresses of event streams for given jobs, and sessions of browsers.

A signed text says who it was made for, until when it is valid, and for which jobs, with an HMAC-SHA256
(RFC 2104) over that, under a key derived from the secret for its purpose. Nothing is stored: whoever has the
secret can verify.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

EVENTS = "events"
SESSION = "session"
BEGINNING = "AQAAAA"
LOOKS = BEGINNING + r"[A-Za-z0-9_-]{52,}"
"""What signed texts look like: a version, an instant before the year 2106, a caller and a digest."""
_MAC = 32
_DIGEST = 12
_HEAD = struct.Struct(">BQB")
_VERSION = 1

log = structlog.get_logger("jdobb_service.signing")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a valid text says: for whom it was made, and the digests of its jobs."""

    caller: str
    jobs: frozenset[bytes]


class Signer:
    """Signs and verifies; without a ``secret`` under a random one, which no other process has."""

    def __init__(self, secret: str | None) -> None:
        self._is_own = secret is None
        self._secret = secrets.token_bytes(32) if secret is None else secret.encode()

    def sign(self, purpose: str, caller: str, expires_at: int, jobs: Iterable[str] = ()) -> str:
        """Return the text for a caller; ``expires_at`` is in seconds since the Unix epoch."""
        if self._is_own:
            self._is_own = False
            log.warning("signing_secret is not set: what this process signs is valid in this process only")
        name = caller.encode()
        raw = _HEAD.pack(_VERSION, expires_at, len(name)) + name + b"".join(map(job_digest, jobs))
        return base64.urlsafe_b64encode(raw + self._mac(purpose, raw)).rstrip(b"=").decode()

    def verify(self, purpose: str, text: str) -> Signed | None:
        """Return what a text says; None when it is not valid, or not any more."""
        try:
            whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        raw, mac = whole[:-_MAC], whole[-_MAC:]
        if not hmac.compare_digest(mac, self._mac(purpose, raw)) or len(raw) < _HEAD.size:
            return None
        version, expires_at, length = _HEAD.unpack_from(raw)
        if version != _VERSION or expires_at <= time.time():
            return None
        caller, digests = raw[_HEAD.size : _HEAD.size + length], raw[_HEAD.size + length :]
        jobs = frozenset(digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST))
        return Signed(caller.decode(), jobs)

    def _mac(self, purpose: str, raw: bytes) -> bytes:
        key = hmac.digest(self._secret, b"jdobb " + purpose.encode(), "sha256")
        return hmac.digest(key, raw, "sha256")


def job_digest(job_id: str) -> bytes:
    """Return what stands for a job in a signed text."""
    return hashlib.sha256(job_id.encode()).digest()[:_DIGEST]
