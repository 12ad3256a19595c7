"""From a URL to the options of a connection."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

_SCHEMES = ("redis", "rediss", "unix")


def check_url(url: str) -> str:
    """Return the URL if it names one Redis server. Raises ``ValueError``, without the password in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url {shown(url)!r} is not a URL: {error}") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"url must look like redis://host:6379/0, got {shown(url)!r}")
    if "," in parts.netloc:
        raise ValueError(
            f"url {shown(url)!r} names several servers: "
            "Redis Cluster and Sentinel come with the scale-out release"
        )
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError(
                f"url {shown(url)!r} names no socket; it must look like unix:///run/redis.sock?db=0"
            )
        return url
    database = parts.path.strip("/")
    if database and not database.isdigit():
        raise ValueError(f"url {shown(url)!r}: the database must be a number, as in redis://host:6379/0")
    if port == 0:
        raise ValueError(f"url {shown(url)!r}: the port must be 1 to 65535")
    _refuse_reserved(url)
    return url


def _refuse_reserved(url: str) -> None:
    """Refuse options that the backend sets itself: it depends on them."""
    for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name in _RESERVED:
            raise ValueError(f"url {shown(url)!r}: {name} is set by the backend, take it out")


_RESERVED = frozenset(
    {
        "decode_responses",
        "health_check_interval",
        "max_connections",
        "protocol",
        "retry_on_error",
        "retry_on_timeout",
        "single_connection_client",
        "socket_timeout",
    }
)


def shown(url: str) -> str:
    """Return the URL without its credentials."""
    before, at, host = url.rpartition("@")
    scheme, separator, _ = before.partition("://")
    return f"{scheme}://***@{host}" if at and separator else url


def connection_options(timeout: float | None) -> dict[str, Any]:
    """Return what every connection has: replies of the old shape, no retries behind our back, a timeout."""
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - the extra may be absent when a URL is checked
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return {
        "protocol": 2,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout,
        "socket_connect_timeout": 2.0,
        "socket_keepalive": True,
    }
