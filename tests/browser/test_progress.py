"""The example page, in a browser."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote

import pytest
from playwright.async_api import Page

from jdobb_async_queue import JobQueue
from tests.support.browsing import http_server
from tests.support.processes import ROOT
from tests.support.restarts import Service
from tests.support.waiting import WITHIN

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def show(page: Page, pages: str, url: str) -> None:
    await page.goto(f"{pages}/progress.html?events={quote(url, safe='')}")


async def bar_reads(page: Page, value: float) -> None:
    await page.wait_for_function("value => document.getElementById('bar').value === value", arg=value)


def streams(page: Page, service: Service) -> list[str]:
    """Return a list that grows by the URL of each request to the service."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if service.url in request.url else None)
    return found


async def test_the_module_is_small_and_needs_nothing():
    module = ROOT.joinpath("examples/job-stream.js").read_text()
    assert len(module.encode()) < 3072
    assert "import " not in module


async def test_the_bar_moves_to_the_end_without_a_reload(page: Page, pages: str, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue:
        job_id = await queue.enqueue("by-hand", {})
        await show(page, pages, f"{service.url}/jobs/{job_id}/events")
        await page.wait_for_function("document.getElementById('status').textContent === 'pending'")
        await page.evaluate("window.sameDocument = true")
        for step in (0.25, 0.5, 0.75):
            await queue.update(job_id, step, f"at {step}")
            await bar_reads(page, step)
            assert await page.inner_text("#message") == f"at {step}"
        await queue.complete(job_id, {"n": 1})
        await bar_reads(page, 1)
        await page.wait_for_function("'ended' in document.body.dataset")
    assert await page.inner_text("#percent") == "100 %"
    assert await page.inner_text("#status") == "complete"
    assert await page.evaluate("window.sameDocument")


async def test_the_bar_reaches_the_end_over_a_restart_of_the_service(
    page: Page, pages: str, service: Service
):
    asked = threading.Event()

    class Unavailable(BaseHTTPRequestHandler):
        """Answers as a proxy does while the service is away."""

        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", "0")
            self.end_headers()
            asked.set()

        def log_message(self, *_: object) -> None:
            pass

    async with JobQueue.from_url(service.backend_url) as queue:
        job_id = await queue.enqueue("by-hand", {})
        await show(page, pages, f"{service.url}/jobs/{job_id}/events")
        await queue.update(job_id, 0.5)
        await bar_reads(page, 0.5)
        await page.evaluate("window.sameDocument = true")
        await asyncio.to_thread(service.stop)
        with http_server(Unavailable, service.port):
            assert await asyncio.to_thread(asked.wait, 2 * WITHIN)
        await queue.update(job_id, 0.75)
        await asyncio.to_thread(service.start)
        await bar_reads(page, 0.75)
        await queue.complete(job_id)
        await bar_reads(page, 1)
        await page.wait_for_function("'ended' in document.body.dataset")
    assert await page.evaluate("window.sameDocument")


async def test_after_the_end_nothing_is_asked_any_more(page: Page, pages: str, service: Service):
    requests = streams(page, service)
    async with JobQueue.from_url(service.backend_url) as queue:
        job_id = await queue.enqueue("by-hand", {})
        await page.clock.install()
        await show(page, pages, f"{service.url}/jobs/{job_id}/events")
        await queue.complete(job_id)
        await page.wait_for_function("'ended' in document.body.dataset")
    await page.clock.fast_forward("02:00:00")
    await page.evaluate("url => fetch(url).then((answer) => answer.text())", f"{service.url}/livez")
    assert requests == [f"{service.url}/jobs/{job_id}/events", f"{service.url}/livez"]


async def test_many_jobs_are_watched_until_the_last_has_ended(page: Page, pages: str, service: Service):
    requests = streams(page, service)
    async with JobQueue.from_url(service.backend_url) as queue:
        ids = [await queue.enqueue("by-hand", {}) for _ in range(3)]
        url = f"{service.url}/events?" + "&".join(f"job={job_id}" for job_id in ids)
        await page.goto(f"{pages}/progress.html?events={quote(url, safe='')}")
        for job_id in ids:
            assert await page.evaluate("!('ended' in document.body.dataset)")
            await queue.complete(job_id)
        await page.wait_for_function("'ended' in document.body.dataset")
    assert len(requests) == 1


async def test_a_job_that_had_ended_before_the_reconnect_ends_the_watch(
    page: Page, pages: str, service: Service
):
    async with JobQueue.from_url(service.backend_url) as queue:
        job_id = await queue.enqueue("by-hand", {})
        await queue.complete(job_id)
        await show(page, pages, f"{service.url}/jobs/{job_id}/events?last_event_id={2**53 - 1}")
        await page.wait_for_function("'ended' in document.body.dataset")
