"""From a backend's name and URL to the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.base import DEFAULT_NAMESPACE, QueueBackend
from jdobb_async_queue.backends.memory import MemoryBackend

if TYPE_CHECKING:
    import random

BACKENDS = ("memory", "sqlite", "redis")
_SCHEMES = {"memory": "memory", "sqlite": "sqlite", "redis": "redis", "rediss": "redis", "unix": "redis"}
_LATER = {
    "redis+cluster", "rediss+cluster", "redis-cluster", "rediss-cluster",
    "redis+sentinel", "rediss+sentinel", "redis-sentinel", "rediss-sentinel", "sentinel",
}  # fmt: skip
DEFAULT_URLS = {
    "memory": "memory://",
    "sqlite": "sqlite:///jdobb.db",
    "redis": "redis://localhost:6379/0",
}


def backend_of_url(url: Any) -> str:
    """Return the name of the backend that a URL belongs to. Raises ``ValueError``."""
    if not isinstance(url, str):
        msg = f"url must be a string, got {type(url).__name__}"
        raise TypeError(msg)
    scheme, separator, _ = url.partition("://")
    if not separator:
        msg = f"url must look like sqlite:///jobs.db, redis://host:6379/0 or memory://, got {_shown(url)!r}"
        raise ValueError(msg)
    if scheme in _LATER:
        msg = f"{scheme} URLs (Redis Cluster and Sentinel) come with the scale-out release"
        raise ValueError(msg)
    if scheme not in _SCHEMES:
        msg = f"Unknown backend: {scheme} (known: {', '.join(BACKENDS)})"
        raise ValueError(msg)
    return _SCHEMES[scheme]


def make_backend(
    backend: str | QueueBackend, url: str | None, namespace: str, rng: random.Random
) -> QueueBackend:
    """Return the backend of a name and URL; a ready-made one is returned as it is.

    Raises ``ValueError`` for an unknown name, a URL of another backend, or a URL or namespace beside a
    ready-made one, ``ModuleNotFoundError`` when the backend's extra is not installed.
    """
    if isinstance(backend, QueueBackend):
        if url is not None:
            msg = "url must be None when backend is a QueueBackend"
            raise ValueError(msg)
        if namespace != DEFAULT_NAMESPACE:
            msg = f"namespace belongs into the backend instance: build that one with namespace={namespace!r}"
            raise ValueError(msg)
        return backend
    if backend not in BACKENDS:
        msg = f"Unknown backend: {backend} (known: {', '.join(BACKENDS)})"
        raise ValueError(msg)
    if url is None:
        url = DEFAULT_URLS[backend]
    elif backend_of_url(url) != backend:
        msg = f"url {_shown(url)!r} belongs to the {backend_of_url(url)} backend, not to {backend}"
        raise ValueError(msg)
    if backend == "memory":
        return MemoryBackend(namespace=namespace, rng=rng)
    if backend == "sqlite":
        return _sqlite(url, namespace, rng)
    return _redis(url, namespace, rng)


def _sqlite(url: str, namespace: str, rng: random.Random) -> QueueBackend:
    try:
        import aiosqlite  # noqa: F401, PLC0415 - asked for only to say which extra is missing
    except ModuleNotFoundError as error:
        raise _missing("aiosqlite", "sqlite") from error
    from jdobb_async_queue.backends.sqlite import SQLiteBackend  # noqa: PLC0415 - an optional extra

    return SQLiteBackend(url, namespace=namespace, rng=rng)


def _redis(url: str, namespace: str, rng: random.Random) -> QueueBackend:
    try:
        import redis  # noqa: F401, PLC0415 - asked for only to say which extra is missing
    except ModuleNotFoundError as error:
        raise _missing("redis", "redis") from error
    from jdobb_async_queue.backends.redis import RedisBackend  # noqa: PLC0415 - an optional extra

    return RedisBackend(url, namespace=namespace, rng=rng)


def _missing(module: str, extra: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"No module named '{module}': pip install jdobb-async-queue[{extra}]", name=module
    )


def _shown(url: str) -> str:
    """Return the URL without its credentials and options."""
    scheme, separator, rest = url.partition("://")
    rest, _, options = rest.partition("?")
    if "@" in options or rest.startswith(":"):
        return f"{scheme}{separator}***"
    credentials, at, host = (rest if separator else scheme).rpartition("@")
    hidden = "***" if credentials else ""
    return f"{scheme}{separator}{hidden}{at}{host}" if separator else f"{hidden}{at}{host}"
