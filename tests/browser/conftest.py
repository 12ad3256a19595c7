"""A headless Chromium, the examples on an origin of their own, and a service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.support.browsing import Quiet, http_server
from tests.support.processes import ROOT
from tests.support.restarts import Service


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


@pytest.fixture(scope="session")
def chromium() -> dict[str, str | None]:
    """Return where Chromium is."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/setup_browser.py"], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


@pytest.fixture
async def page(chromium: dict[str, str | None]) -> AsyncIterator[Page]:
    """Return an empty page; an error in its scripts fails the test."""
    libraries = {} if chromium["libraries"] is None else {"LD_LIBRARY_PATH": chromium["libraries"]}
    errors: list[Exception] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium["executable"],
            args=["--no-sandbox", "--disable-gpu"],
            env={**os.environ, **libraries},
        )
        opened = await browser.new_page()
        opened.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - playwright sets an attribute
        yield opened
        await browser.close()
    assert errors == []
