"""What the dashboard hears: one stream for all tabs, over restarts, and none that nobody looks at."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from jdobb_async_queue import JobQueue
from tests.browser.conftest import Visit
from tests.support.browsing import below_prefix
from tests.support.dashboard import HIDE, claimed
from tests.support.restarts import Service
from tests.support.waiting import WITHIN, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOST = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY"


async def streams(service: Service) -> int:
    async with httpx.AsyncClient(timeout=WITHIN) as client:
        text = (await client.get(f"{service.url}/metrics")).text
    return int(float(re.findall(r"^jdobb_sse_clients (\S+)$", text, re.MULTILINE)[0]))


async def streams_are(service: Service, count: int) -> None:
    async def is_so() -> bool:
        return await streams(service) == count

    await eventually(is_so, 2 * WITHIN)


async def reads(page: Page, percent: int) -> None:
    await expect(page.locator(".percent")).to_have_text(f"{percent} %")


async def test_ten_tabs_share_one_stream(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, _):
        job_id, lease = await claimed(queue, "shared")
        tabs = [await context.new_page() for _ in range(10)]
        for tab in tabs:
            await tab.goto("#/")
            await reads(tab, 0)
        await streams_are(service, 1)
        await queue.update(job_id, 0.5, lease_token=lease)
        for tab in tabs:
            await reads(tab, 50)
        assert await streams(service) == 1
        for tab in tabs:
            await tab.close()
        await streams_are(service, 0)


async def test_without_a_shared_worker_a_tab_holds_its_own(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, _):
        await context.add_init_script("delete window.SharedWorker")
        job_id, lease = await claimed(queue, "alone")
        one, two = await context.new_page(), await context.new_page()
        for tab in (one, two):
            await tab.goto("#/jobs")
            await expect(tab.locator("table.jobs tbody tr")).to_have_count(1)
        await streams_are(service, 2)
        await queue.update(job_id, 0.5, lease_token=lease)
        for tab in (one, two):
            await reads(tab, 50)
        await two.close()
        await streams_are(service, 1)


async def test_nothing_is_heard_while_nobody_looks_or_updates_are_paused(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, trouble):
        job_id, lease = await claimed(queue, "looked-at")
        page = await context.new_page()
        await page.goto("#/jobs")
        await streams_are(service, 1)
        await page.evaluate(HIDE, True)
        await streams_are(service, 0)
        await queue.update(job_id, 0.25, lease_token=lease)
        await page.evaluate(HIDE, False)
        await reads(page, 25)
        await streams_are(service, 1)
        await page.get_by_role("button", name="Live").click()
        await streams_are(service, 0)
        await queue.update(job_id, 0.5, lease_token=lease)
        asked = len(trouble.requests)
        await page.get_by_role("button", name="Paused").click()
        await reads(page, 50)
        assert not [path for path in trouble.requests[asked:] if path.startswith("/ui/")]


async def test_it_tells_of_a_lost_connection_and_recovers_without_a_reload(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, trouble):
        job_id, lease = await claimed(queue, "restarted")
        pages = {path: await context.new_page() for path in ("#/", "#/jobs", f"#/jobs/{job_id}")}
        for path, page in pages.items():
            await page.goto(path)
            await page.evaluate("window.sameDocument = true")
        await queue.update(job_id, 0.25, "before", lease_token=lease)
        for page in pages.values():
            await reads(page, 25)
        await streams_are(service, 1)
        await asyncio.to_thread(service.stop)
        for page in pages.values():
            await expect(page.get_by_text("The connection is lost.")).to_be_visible()
            await expect(page.get_by_role("alert")).to_have_count(0)
        await queue.update(job_id, 0.5, "meanwhile", lease_token=lease)
        await queue.update(job_id, 0.75, "meanwhile too", lease_token=lease)
        await asyncio.to_thread(service.start)
        for page in pages.values():
            await expect(page.get_by_text("The connection is lost.")).to_have_count(0)
            await reads(page, 75)
            await expect(page.get_by_role("alert")).to_have_count(0)
            assert await page.evaluate("window.sameDocument")
        log = pages[f"#/jobs/{job_id}"].locator(".timeline .message")
        await expect(log).to_have_text(["meanwhile too", "meanwhile", "before", "enqueued"])
        trouble.forgive(LOST)


async def test_a_screen_that_was_opened_while_the_service_was_away_comes_by_itself(
    visit: Visit, service: Service
):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, trouble):
        await queue.enqueue("away", {})
        page = await context.new_page()
        await page.goto("#/settings")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
        await asyncio.to_thread(service.stop)
        for name in ("Overview", "Workers", "Jobs"):
            await page.get_by_label("Screens").get_by_role("link", name=name, exact=True).click()
            await expect(page.get_by_text("The connection is lost.")).to_be_visible()
            await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_text("No job fits.")).to_have_count(0)
        await asyncio.to_thread(service.start)
        await expect(page.locator("table.jobs tbody tr")).to_have_count(1)
        await expect(page.get_by_text("The connection is lost.")).to_have_count(0)
        trouble.forgive(LOST)


async def test_the_page_waits_for_a_service_that_is_not_there_yet(visit: Visit, service: Service):
    async with visit(service.url) as (context, trouble):
        page = await context.new_page()
        away = ["yes"]

        async def asked(route: Route) -> None:
            await (route.abort() if away else route.fallback())

        await page.route("**/session", asked)
        await page.goto("")
        await expect(page.get_by_text("The service does not answer. Trying again")).to_be_visible()
        away.clear()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        trouble.forgive("ERR_FAILED")


async def test_an_answer_of_somebody_else_is_told(visit: Visit, service: Service):
    async with visit(service.url) as (context, trouble):
        page = await context.new_page()
        await page.route(
            "**/jobs/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
        )
        for path in ("#/jobs/other", "#/enqueue?from=other"):
            await page.goto(path)
            await expect(page.get_by_role("alert")).to_have_text("The answer did not come from the service.")
        trouble.forgive("status of 404")


@pytest.mark.parametrize("hours", [1, -1])
async def test_times_are_by_the_clock_of_the_service(visit: Visit, service: Service, hours: int):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, _):
        await context.add_init_script(f"""{{
          const now = Date.now;
          Date.now = () => now() + {hours * 3_600_000};
        }}""")
        job_id, lease = await claimed(queue, "timed")
        await queue.fail(job_id, "it broke", lease_token=lease, retry=False)
        await claimed(queue, "timed")
        page = await context.new_page()
        await page.goto("#/jobs")
        rows = page.locator("table.jobs tbody tr")
        await expect(rows).to_have_count(2)
        for row in await rows.all():
            await expect(row.locator("time")).to_have_text(re.compile(r"^(now|in \d+ s|\d+ s ago)$"))
        await page.goto("#/")
        await expect(page.locator(".points")).to_contain_text("Error in timed")
        await expect(page.get_by_role("row", name="timed").locator("svg")).to_have_attribute(
            "aria-label", "1 ended in 15 minutes"
        )


async def test_it_works_below_a_path_of_a_proxy(visit: Visit, service: Service):
    with below_prefix(service.port, "/tools/queue") as origin:
        async with JobQueue.from_url(service.backend_url) as queue, visit(origin) as (context, trouble):
            job_id, lease = await claimed(queue, "prefixed")
            page = await context.new_page()
            await page.goto("/tools/queue")
            await expect(page).to_have_url(f"{origin}/tools/queue/")
            await reads(page, 0)
            await streams_are(service, 1)
            await queue.update(job_id, 0.5, lease_token=lease)
            await reads(page, 50)
            await page.get_by_role("link", name=f"…{job_id[-12:]}").click()
            await page.get_by_role("button", name="Cancel").click()
            await expect(page.locator(".head .status")).to_have_text("cancelled")
            await page.goto("/tools/queue/#/enqueue?job_type=prefixed")
            await expect(page.get_by_label("as curl", exact=True)).to_contain_text(
                f"{origin}/tools/queue/jobs"
            )
            await page.get_by_role("button", name="Enqueue").click()
            await expect(page.locator(".head .status")).to_have_text("pending")
            await page.get_by_role("link", name="API").click()
            await expect(page.get_by_text("Claim jobs, or wait for them")).to_be_visible()
            assert all(path.startswith("/tools/queue") for path in trouble.requests)
