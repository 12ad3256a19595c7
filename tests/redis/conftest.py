"""Queues on a real server, also through a proxy that harms their connections, on the real clock."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.redis import RedisBackend, connection, pool
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer, shared_server


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no call give up because the machine is slow; what is about giving up says when."""
    monkeypatch.setattr(connection, "PATIENCE", 600.0)
    monkeypatch.setattr(pool, "TIMEOUT", 600.0)


@pytest.fixture(scope="session")
def shared() -> RedisServer:
    return shared_server()


@pytest.fixture
def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """Return a server of the test's own, which it may stop and change."""
    own = RedisServer(tmp_path, "--appendonly", "yes").start()
    yield own
    own.kill()  # some that the tests leave behind cannot save, and would not stop


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
async def proxy(shared: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(shared.port) as between:
        yield between


@pytest.fixture
async def open_queue(namespace: str) -> AsyncIterator[Callable[..., JobQueue]]:
    """Return an opener of queues at a URL; options are the backend's."""
    opened: list[JobQueue] = []

    def make(url: str, **options: Any) -> JobQueue:
        queue = JobQueue(RedisBackend(url, **{"namespace": namespace, **options}))
        opened.append(queue)
        return queue

    yield make
    for queue in opened:
        await queue.close()


@pytest.fixture
def queue(open_queue: Callable[..., JobQueue], proxy: Proxy) -> JobQueue:
    """Return a queue whose connections go through the proxy."""
    return open_queue(proxy.url)


@pytest.fixture
def direct(open_queue: Callable[..., JobQueue], shared: RedisServer) -> JobQueue:
    """Return a queue on the same namespace that goes straight to the server."""
    return open_queue(shared.url)


@pytest.fixture
def named(open_queue: Callable[..., JobQueue], shared: RedisServer, namespace: str) -> JobQueue:
    """Return a queue whose connections the server knows by the namespace."""
    return open_queue(f"{shared.url}?client_name={namespace}")
