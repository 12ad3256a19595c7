"""API keys: who may do what. Only digests of the secrets are kept."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import secrets
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

Scope = Literal["enqueue", "read", "cancel", "work", "admin"]
SCOPES: tuple[str, ...] = get_args(Scope)

BEGINNING = "jdobb_"
LOOKS = BEGINNING + r"[A-Za-z0-9._-]{1,64}_[A-Za-z0-9_-]{32,}"
"""What secrets look like, as ``new_key`` makes them."""
_PATTERN = re.compile(r"[A-Za-z0-9._:*?-]{1,128}")


class ApiKey(BaseModel):
    """One key: its public id, the SHA-256 of its secret, its scopes, and the job types it is for.

    ``job_types`` are patterns (``billing.*``); empty means every job type. The scope ``admin`` includes
    all others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    scopes: frozenset[Scope] = Field(min_length=1)
    job_types: tuple[str, ...] = ()

    @field_validator("job_types")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if _PATTERN.fullmatch(pattern) is None:
                msg = "must be job types or patterns such as billing.*"
                raise ValueError(msg)
        return value

    def allows(self, scope: str) -> bool:
        """Tell whether the key has ``scope``."""
        return scope in self.scopes or "admin" in self.scopes

    def covers(self, job_type: str) -> bool:
        """Tell whether the key is for ``job_type``."""
        return not self.job_types or any(fnmatch.fnmatchcase(job_type, pattern) for pattern in self.job_types)

    def __str__(self) -> str:
        """Return the key as ``JDOBB_API_KEYS`` holds it: ``id:sha256:scopes[:job types]``."""
        parts = [self.id, self.sha256, "+".join(scope for scope in SCOPES if scope in self.scopes)]
        return ":".join([*parts, "+".join(self.job_types)] if self.job_types else parts)


def new_key(
    id: str, scopes: tuple[str, ...] = ("enqueue", "read", "cancel"), job_types: tuple[str, ...] = ()
) -> tuple[ApiKey, str]:
    """Return a new key and its secret, which is stored nowhere: show it once."""
    secret = f"jdobb_{id}_{secrets.token_urlsafe(32)}"
    key = ApiKey.model_validate(
        {"id": id, "sha256": digest(secret), "scopes": scopes, "job_types": job_types}
    )
    return key, secret


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_keys(text: str) -> list[Any]:
    """Return what ``JDOBB_API_KEYS`` or a keys file says, to be validated as ``ApiKey``.

    Either a JSON array of objects, or ``id:sha256:scope+scope[:job type+job type]``, separated by commas
    or white space; a line that begins with ``#`` is a comment. Raises ``ValueError``.
    """
    if text.lstrip().startswith("["):
        keys: list[Any] = json.loads(text)
        return keys
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [_parse_key(word) for word in re.split(r"[\s,]+", "\n".join(lines)) if word]


def _parse_key(word: str) -> dict[str, Any]:
    parts = word.split(":", 3)
    if len(parts) < 3:  # noqa: PLR2004 - id, digest and scopes are required
        msg = "a key must look like id:sha256:scope+scope[:job type+job type]"
        raise ValueError(msg)
    key: dict[str, Any] = {"id": parts[0], "sha256": parts[1], "scopes": parts[2].split("+")}
    return {**key, "job_types": parts[3].split("+")} if len(parts) > 3 else key  # noqa: PLR2004 - the fourth is optional
