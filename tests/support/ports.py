"""Ports for servers of the tests."""

from __future__ import annotations

import random
import socket

_BELOW_THOSE_OF_CLIENTS = range(20_000, 32_768)
"""Outgoing connections are given ports above: one of these stays free while nobody listens on it."""
_choice = random.SystemRandom().choice  # not the seeded one: other processes choose too


def free_port() -> int:
    """Return a port that nothing listens on, and that no client is given."""
    while True:
        port = _choice(_BELOW_THOSE_OF_CLIENTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
