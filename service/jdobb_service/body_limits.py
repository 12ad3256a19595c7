"""How large the body of a request may be."""

from __future__ import annotations

from dataclasses import dataclass

MARGIN = 65_536
"""Bytes that a request body may have beyond ``max_payload_bytes``."""
BATCH_PATH = "/jobs/batch"
BATCH = 8 * 1024 * 1024
"""Bytes that the body of a batch may have, whatever ``max_payload_bytes`` is."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits of one application."""

    usual: int

    @classmethod
    def of_payload(cls, max_payload_bytes: int) -> BodyLimits:
        """Return the limits that leave room for a payload of this size."""
        return cls(max_payload_bytes + MARGIN)

    def of(self, path: str) -> int:
        """Return how many bytes a body sent to ``path`` may have."""
        return BATCH if path == BATCH_PATH else self.usual
