"""A headless Chromium, the examples on an origin of their own, and services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.support.browsing import Quiet, http_server
from tests.support.dashboard import LONG, Trouble, chromium, visitor
from tests.support.processes import ROOT
from tests.support.restarts import Service

expect.set_options(timeout=LONG)


@pytest.fixture
def pages() -> Iterator[str]:
    """Return the origin of the examples."""
    with http_server(partial(Quiet, directory=str(ROOT / "examples"))) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def service(tmp_path: Path, pages: str) -> Iterator[Service]:
    started = Service(tmp_path, JDOBB_CORS_ORIGINS=pages)
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service with handlers, which the tests of a module share."""
    started = Service(tmp_path_factory.mktemp("service"), "tests.support.dashboard_handlers:router")
    started.start()
    yield started
    started.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


Visit = Callable[..., AbstractAsyncContextManager[tuple[BrowserContext, Trouble]]]


@pytest.fixture
def visit(browser: Browser) -> Visit:
    """Return what opens a browser context on an origin."""

    def opened(origin: str, **options: Any) -> AbstractAsyncContextManager[tuple[BrowserContext, Trouble]]:
        return visitor(browser, origin, **options)

    return opened


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Return an empty page; an error in its scripts fails the test."""
    errors: list[Exception] = []
    context = await browser.new_context()
    context.set_default_timeout(LONG)
    opened = await context.new_page()
    opened.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - playwright sets an attribute
    yield opened
    await context.close()
    assert errors == []


@pytest_asyncio.fixture(loop_scope="session")
async def context(visit: Visit, running: Service) -> AsyncIterator[tuple[BrowserContext, Trouble]]:
    """Return a browser context on the shared service, and what goes wrong in it."""
    async with visit(running.url) as opened:
        yield opened


@pytest.fixture
def trouble(context: tuple[BrowserContext, Trouble]) -> Trouble:
    return context[1]


@pytest_asyncio.fixture(loop_scope="session")
async def dashboard(context: tuple[BrowserContext, Trouble]) -> Page:
    """Return a page for the dashboard of the shared service."""
    return await context[0].new_page()
