"""Where a client is in a stream of several jobs: the opaque event ids of ``/events``.

An id holds the seq seen last of each of the stream's jobs, in the order of their ids: zero where nothing was
seen, else how far it lies beyond the least of them. It fits the jobs of its stream and no others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

_VERSION = 1
_PRINT = 6
_MAX_SEQ = 2**53
_MOST_DIGITS = 8


def encode(seen: dict[str, int | None]) -> bytes:
    """Return the event id for the seqs seen last, by job id; None where nothing was seen."""
    known = [seq for seq in seen.values() if seq]
    base = min(known, default=0)
    steps = [0 if seq is None else 1 if seq == 0 else seq - base + 2 for _, seq in sorted(seen.items())]
    raw = bytes([_VERSION]) + _fingerprint(seen) + b"".join(map(_packed, [base, *steps]))
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def decode(job_ids: Iterable[str], text: str) -> dict[str, int | None] | None:
    """Return the seqs that an event id holds; None when it is none of a stream of these jobs."""
    names = sorted(job_ids)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    if raw[: 1 + _PRINT] != bytes([_VERSION]) + _fingerprint(names):
        return None
    numbers = _unpacked(raw[1 + _PRINT :])
    if numbers is None or len(numbers) != 1 + len(names):
        return None
    base, *steps = numbers
    seqs = [None if step == 0 else 0 if step == 1 else base + step - 2 for step in steps]
    if any(seq is not None and seq >= _MAX_SEQ for seq in seqs):
        return None
    return dict(zip(names, seqs, strict=True))


def _fingerprint(job_ids: Iterable[str]) -> bytes:
    return hashlib.sha256("\n".join(sorted(job_ids)).encode()).digest()[:_PRINT]


def _packed(number: int) -> bytes:
    """Return a number as bytes of seven bits, the least first; all but the last have the eighth bit."""
    digits = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _unpacked(raw: bytes) -> list[int] | None:
    numbers: list[int] = []
    number = digits = 0
    for byte in raw:
        number |= (byte & 0x7F) << (7 * digits)
        digits += 1
        if digits > _MOST_DIGITS:
            return None
        if byte < 0x80:  # noqa: PLR2004 - the eighth bit
            numbers.append(number)
            number = digits = 0
    return None if digits else numbers
