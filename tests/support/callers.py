"""Callers of a service with API keys: one for each scope, and one for some job types only."""

from __future__ import annotations

from jdobb_service.keys import new_key

KEYS = {
    name: new_key(name, scopes, job_types)
    for name, scopes, job_types in [
        ("producer", ("enqueue",), ()),
        ("reader", ("read",), ()),
        ("canceller", ("cancel",), ()),
        ("worker", ("work",), ()),
        ("boss", ("admin",), ()),
        ("billing", ("enqueue", "read", "cancel"), ("billing.*", "mail")),
    ]
}
"""Each key and its secret."""


def as_(name: str) -> dict[str, str]:
    """Return the headers of a caller."""
    return {"authorization": f"Bearer {KEYS[name][1]}"}
