"""Ports for servers of the tests."""

from __future__ import annotations

import random
import socket
from collections import deque

_BELOW_THOSE_OF_CLIENTS = range(20_000, 32_768)
"""Outgoing connections are given ports above: one of these stays free while nobody listens on it."""
_MOST_CLAIMS = 64
_choice = random.SystemRandom().choice  # not the seeded one: other processes choose too
_claims: deque[socket.socket] = deque()
"""Each latest port is held for datagrams: by that, other processes of tests see that it is taken."""


def free_port() -> int:
    """Return a port that nothing listens on, that no client is given, and that no other test chooses."""
    while True:
        port = _choice(_BELOW_THOSE_OF_CLIENTS)
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if len(_claims) > _MOST_CLAIMS:
            _claims.popleft().close()
        return port
