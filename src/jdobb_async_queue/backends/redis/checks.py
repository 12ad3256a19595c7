"""What a server must be before jobs are entrusted to it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from jdobb_async_queue.errors import BackendError, BackendUnavailable, SchemaTooNew

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import Durability
    from jdobb_async_queue.backends.redis.connection import Connection

logger = logging.getLogger("jdobb_async_queue")

OLDEST = (6, 2)
SCHEMA = 1


async def check_server(connection: Connection, prefix: str) -> Durability:
    """Return what acknowledged writes survive, and create the namespace.

    Raises ``BackendError`` when the server will not do.
    """
    info = _parsed(await connection.command("INFO"))
    check_info(info, connection.place)
    await _claim_namespace(connection, prefix)
    return await _durability(connection, info)


def check_info(info: dict[str, str], place: str) -> None:
    """Raise ``BackendError`` when a server that says this of itself will not do."""
    version = info.get("redis_version", "0.0")
    if _numbers(version) < OLDEST:
        raise BackendError(f"{place} is Redis {version}; 6.2 or later is needed")
    if info.get("cluster_enabled") == "1" or info.get("redis_mode") in {"cluster", "sentinel"}:
        kind = "Sentinel" if info.get("redis_mode") == "sentinel" else "Cluster"
        raise BackendError(f"{place} is a Redis {kind}; that comes with the scale-out release")
    if info.get("role") != "master":
        raise BackendError(f"{place} is a replica; jobs must go to its primary")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise BackendError(
            f"{place} evicts keys when its memory is full (maxmemory-policy {policy}), and jobs with them: "
            "set maxmemory-policy to noeviction"
        )


async def _claim_namespace(connection: Connection, prefix: str) -> None:
    schema, sequence = await connection.command("MGET", prefix + "schema", prefix + "seq")
    if schema is None:
        await connection.command("SET", prefix + "schema", SCHEMA, "NX")
        schema = await connection.command("GET", prefix + "schema")
    if int(schema) > SCHEMA:
        raise SchemaTooNew(
            f"{connection.place}: the namespace was written by a newer release (layout {int(schema)})"
        )
    if sequence is None:
        await connection.command("SET", prefix + "seq", 0, "NX")


async def _durability(connection: Connection, info: dict[str, str]) -> Durability:
    """Return ``full`` if each write is synced, ``normal`` if a killed server loses nothing, else ``none``."""
    if info.get("aof_enabled") == "1":
        return "full" if await _config(connection, "appendfsync") == "always" else "normal"
    logger.warning(
        "%s keeps no append-only file: jobs are lost when it ends (set appendonly yes)", connection.place
    )
    return "none"


async def _config(connection: Connection, name: str) -> str | None:
    """Return a setting of the server, None where it may not be asked."""
    try:
        found: list[bytes] = await connection.command("CONFIG", "GET", name)
    except BackendUnavailable:
        raise
    except BackendError:
        return None
    return found[1].decode() if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _parsed(info: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
