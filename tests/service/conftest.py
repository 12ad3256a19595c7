"""Fixtures of the service's tests: a service on each backend, driven over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.callers import KEYS
from tests.support.redis_server import RedisServer
from tests.support.serving import Running, serving


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's settings out of the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("JDOBB_API_KEYS", "JDOBB_ALLOWED_HOSTS", "JDOBB_BACKEND_URL", "JDOBB_SETTINGS_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def backend_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param != "redis":
        yield "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"
        return
    server = RedisServer(tmp_path).start()
    yield server.url
    server.stop()


@pytest.fixture
async def service(backend_url: str) -> AsyncIterator[Running]:
    """Return a service without handlers: tests claim and settle by hand, through its queue."""
    async with serving(backend_url=backend_url) as running:
        yield running


@pytest.fixture
async def on_memory() -> AsyncIterator[Running]:
    """Return a service on memory, for what has nothing to do with the backend."""
    async with serving() as running:
        yield running


@pytest.fixture
async def guarded() -> AsyncIterator[Running]:
    """Return a service on memory with API keys; ``tests.support.callers`` has them."""
    async with serving(api_keys=tuple(key for key, _ in KEYS.values())) as running:
        yield running
