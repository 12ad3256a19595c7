"""From a URL to the options of a connection."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_SCHEMES = ("redis", "rediss", "unix")
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_LATER = "Redis Cluster and Sentinel come with the scale-out release"
_OPTIONS = frozenset(
    {
        "client_name", "db", "password", "username",
        "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile",
    }
)  # fmt: skip
"""What a URL may say behind its question mark; the backend depends on all else as it sets it."""


def check_url(url: str) -> str:
    """Return the URL if it names one Redis server. Raises ``ValueError``, without the password in it."""
    scheme = url.partition("://")[0]
    if "cluster" in scheme or "sentinel" in scheme:
        raise ValueError(f"{scheme} URLs: {_LATER}")
    if scheme not in _SCHEMES or "://" not in url:
        raise ValueError(f"url must look like redis://host:6379/0, got {shown(url)!r}")
    if "," in url.partition("?")[0].rpartition("@")[2]:
        raise ValueError(f"url {shown(url)!r} names several servers: {_LATER}")
    parts = _split(url)
    if parts is None:
        raise ValueError(
            f"url {shown(url)!r} is not a URL: is its port a number from 1 to 65535, and is every special "
            "character of its password written as %XX?"
        )
    if parts.scheme == "unix" and not parts.path:
        raise ValueError(f"url {shown(url)!r} names no socket; it must look like unix:///run/redis.sock?db=0")
    options = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in options:
        if name not in _OPTIONS or (name.startswith("ssl_") and scheme != "rediss"):
            raise ValueError(f"url {shown(url)!r}: the option {name!r} is unknown, or set by the backend")
    paths = [] if parts.scheme == "unix" else [parts.path.removeprefix("/")]
    for database in paths + [value for name, value in options if name == "db"]:
        if database and not (database.isascii() and database.isdigit()):
            raise ValueError(f"url {shown(url)!r}: the database must be a number, as in redis://host:6379/0")
    return url


def shown(url: str) -> str:
    """Return the URL without its credentials and options."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***" if "@" in url else url
    parts = _split(url)
    if parts is None:
        return f"{scheme}://***"
    credentials, at, place = parts.netloc.rpartition("@")
    hidden = "***" if credentials else ""
    return f"{scheme}://{hidden}{at}{place}{parts.path}" if rest else url


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None if a part of a password may have got into another one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    is_odd = "@" in parts.path or "@" in parts.fragment or "#" in url or port == 0
    return None if is_odd or (parts.netloc and not parts.hostname and parts.scheme != "unix") else parts


def connection_options(url: str) -> dict[str, Any]:
    """Return what every connection has: replies of the old shape, no retries or timeouts behind our back.

    Over TCP the system asks every few seconds whether a silent peer is still there.
    """
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - the extra may be absent when a URL is checked
    from redis.backoff import NoBackoff  # noqa: PLC0415

    options = {
        "protocol": 2,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": None,
        "socket_connect_timeout": 2.0,
    }
    if urlsplit(url).scheme != "unix":
        probes = {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
        options |= {"socket_keepalive": True, "socket_keepalive_options": probes}
    return options
