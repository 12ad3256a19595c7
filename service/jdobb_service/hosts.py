"""Which names a request may call the service by; the defence against DNS rebinding."""

from __future__ import annotations

from collections.abc import Iterable

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANY_HOST_PATHS = frozenset({"/livez", "/readyz"})
"""Asked by probes, which know an address and no name."""


class AllowedHosts:
    """Host names that ``Host`` may carry, any port; ``*.example.com`` allows the names below."""

    def __init__(self, names: Iterable[str]) -> None:
        lowered = [name.lower() for name in names]
        self._any = "*" in lowered
        self._exact = frozenset(lowered)
        self._suffixes = tuple(name[1:] for name in lowered if name.startswith("*."))

    @classmethod
    def of(cls, allowed: Iterable[str] | None, *, keys: bool) -> AllowedHosts:
        """Return what the settings mean: if nothing is set, loopback without API keys and any with them."""
        if allowed is None:
            return cls(("*",) if keys else LOOPBACK_NAMES)
        return cls(allowed)

    def allow(self, host: str) -> bool:
        """Tell whether a ``Host`` header is fine."""
        if self._any:
            return "," not in host
        name = _name(host.lower())
        return name in self._exact or (bool(self._suffixes) and name.endswith(self._suffixes))


def _name(host: str) -> str:
    """Return a ``Host`` header without its port."""
    if host.startswith("["):
        return host[: host.find("]") + 1]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
