"""The address that the service listens on, and whether it may."""

from __future__ import annotations

import socket
from typing import Any

from jdobb_service.security import is_loopback_address
from jdobb_service.settings import Settings


class CannotServe(Exception):  # noqa: N818 - reads as the fact that it states
    """The service cannot start like this; the text says why and what to do."""


def check_exposure(settings: Settings) -> None:
    """Refuse to serve everybody by accident. Raises ``CannotServe``."""
    if settings.allow_anonymous or settings.keys():
        return
    exposed = [address for *_, address in _addresses(settings) if not is_loopback_address(str(address[0]))]
    if exposed:
        msg = (
            f"refusing to listen on {settings.host} without API keys: anybody who reaches it could run jobs. "
            "Set JDOBB_API_KEYS (`jdobb keys new` makes one), listen on 127.0.0.1, "
            "or say --allow-anonymous (JDOBB_ALLOW_ANONYMOUS=true)."
        )
        raise CannotServe(msg)


def listen(settings: Settings) -> socket.socket:
    """Return the listening socket. Raises ``CannotServe`` when the address cannot be had."""
    family, kind, protocol, _, address = _addresses(settings)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        msg = f"cannot listen on {settings.host} port {settings.port}: {error.strerror}"
        raise CannotServe(msg) from None
    listener.settimeout(0)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL under which the socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the other way about
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _addresses(settings: Settings) -> list[Any]:
    try:
        found: list[Any] = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        msg = f"cannot find the address of the host {settings.host!r}: {error.strerror}"
        raise CannotServe(msg) from None
    return sorted(found, key=lambda item: item[0] != socket.AF_INET)
