"""What a Redis server does with jobs when its memory is full and when it ends, and its clock."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping

from jdobb_service.cli.checks.clocks import clock_finding
from jdobb_service.cli.checks.finding import Finding, failure, ok, warning


async def server_findings(url: str) -> AsyncIterator[Finding]:
    """Ask the server that a URL names; one that does not answer is left to the opening of the store."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    try:
        async with Redis.from_url(url, decode_responses=True) as server:
            began = time.time()
            seconds, microseconds = await server.time()
            took = time.time() - began
            info, settings = await server.info(), await _settings(server)
    except (RedisError, OSError):
        return
    yield memory_finding(str(info.get("maxmemory_policy", "noeviction")))
    yield persistence_finding(info, settings)
    ahead = int(seconds) + int(microseconds) / 1e6 - (began + took / 2)
    yield clock_finding("the Redis server's", ahead, took)


def memory_finding(policy: str) -> Finding:
    """Return what becomes of jobs when the server's memory is full."""
    if policy == "noeviction":
        return ok("memory", "maxmemory-policy is noeviction: a full server refuses jobs and loses none")
    detail = f"maxmemory-policy is {policy}: a full server drops jobs without a word"
    return failure("memory", detail, "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf")


def persistence_finding(info: Mapping[str, object], settings: Mapping[str, str]) -> Finding:
    """Return what becomes of jobs when the server ends."""
    if str(info.get("aof_enabled")) == "1":
        if str(info.get("aof_last_write_status", "ok")) != "ok":
            return failure("persistence", "the last write to the append-only file failed", "look at its disk")
        return ok("persistence", f"appendonly, fsync {settings.get('appendfsync', 'as it is set')}")
    remedy = "CONFIG SET appendonly yes, and the same in redis.conf"
    if settings.get("save") == "":
        return warning("persistence", "none: all jobs are lost when the server ends", remedy)
    detail = "snapshots only: the jobs since the last one are lost when the server is killed"
    return warning("persistence", detail, remedy)


async def _settings(server: object) -> dict[str, str]:
    """Return what the server lets us know of its settings."""
    from redis.exceptions import ResponseError

    try:
        found: dict[str, str] = await server.config_get("save", "appendfsync")  # type: ignore[attr-defined]  # Redis
    except ResponseError:  # managed servers hide them
        return {}
    return found
