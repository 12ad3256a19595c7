"""Every screen of the dashboard, in both themes: whole, quiet, open to everybody, and safe."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from jdobb_async_queue import JobQueue
from tests.browser.conftest import Visit
from tests.support.dashboard import ATTACK, BEYOND, claimed, fill
from tests.support.restarts import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCREENS = {
    "overview": ("#/", "Overview"),
    "jobs": ("#/jobs", "Jobs"),
    "job": ("#/jobs/{complete}", "{complete}"),
    "failed": ("#/jobs/{failed}", "{failed}"),
    "attacked": ("#/jobs/{attack}", "{attack}"),
    "types": ("#/types", "Job types"),
    "workers": ("#/workers", "Workers"),
    "enqueue": ("#/enqueue?job_type=greet", "Enqueue"),
    "settings": ("#/settings", "Settings"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ids(running: Service) -> dict[str, str]:
    return await fill(running)


async def stand_on(page: Page, screen: str, ids: dict[str, str]) -> None:
    path, heading = (text.format(**ids) for text in SCREENS[screen])
    await page.goto(path)
    await expect(page.get_by_role("heading", level=1, name=heading, exact=True)).to_be_visible()
    await expect(page.locator(".loading")).to_have_count(0)


@pytest_asyncio.fixture(loop_scope="session", params=["light", "dark"])
async def themed(request: pytest.FixtureRequest, visit: Visit, running: Service) -> AsyncIterator[Page]:
    async with visit(running.url, color_scheme=request.param) as (context, _):
        yield await context.new_page()


@pytest_asyncio.fixture(loop_scope="session", params=["light", "dark"])
async def examined(request: pytest.FixtureRequest, visit: Visit, running: Service) -> AsyncIterator[Page]:
    """Return a page that a script from outside may look into."""
    async with visit(running.url, color_scheme=request.param, bypass_csp=True) as (context, _):
        yield await context.new_page()


async def test_each_screen_is_quiet_and_asks_nobody_else(themed: Page, ids: dict[str, str]):
    for screen in SCREENS:
        await stand_on(themed, screen, ids)
        assert await themed.evaluate("'attacked' in window") is False


async def test_each_screen_is_open_to_everybody(examined: Page, ids: dict[str, str]):
    await examined.goto("")
    await examined.evaluate(AXE)
    for screen in SCREENS:
        await stand_on(examined, screen, ids)
        found = await examined.evaluate(
            "tags => axe.run({ runOnly: tags, resultTypes: ['violations'] })", RULES
        )
        assert [
            (screen, one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]
        ] == []


SPILLED = """() => [...document.querySelectorAll("th, td")].filter((cell) =>
  cell.checkVisibility() && getComputedStyle(cell).overflow === "visible"
  && cell.scrollWidth > cell.clientWidth
).map((cell) => cell.textContent)"""
"""Cells that are too small for what is in them."""


async def test_no_screen_is_wider_than_a_telephone(visit: Visit, running: Service, ids: dict[str, str]):
    async with visit(running.url, viewport={"width": 390, "height": 800}) as (context, _):
        page = await context.new_page()
        for screen in SCREENS:
            await stand_on(page, screen, ids)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert (screen, width) == (screen, 390)
            assert (screen, await page.evaluate(SPILLED)) == (screen, [])
            await expect(page.get_by_label("Screens").locator("[aria-current]")).to_be_in_viewport(ratio=1)


async def test_markup_in_what_jobs_carry_stays_text(dashboard: Page, ids: dict[str, str]):
    await stand_on(dashboard, "attacked", ids)
    for place in ("pre[aria-label=data]", "pre[aria-label=metadata]", ".error summary", ".timeline", ".bar"):
        await expect(dashboard.locator(place)).to_contain_text("<script>window.attacked=1</script>")
    await expect(dashboard.get_by_label("the traceback", exact=True)).to_contain_text(ATTACK)
    await stand_on(dashboard, "overview", ids)
    await dashboard.get_by_role("button", name=re.compile("Show . more")).click()
    await expect(dashboard.locator(".points")).to_contain_text(f"month end {ATTACK}")
    await stand_on(dashboard, "workers", ids)
    await expect(dashboard.get_by_role("rowheader", name=ATTACK)).to_be_visible()
    await stand_on(dashboard, "types", ids)
    await expect(dashboard.get_by_text(f"month end {ATTACK}")).to_be_visible()
    await dashboard.goto(f"#/jobs?metadata.note={ATTACK}")
    await expect(dashboard.locator(".chip")).to_contain_text(ATTACK)
    assert await dashboard.locator("img").count() == 0
    assert await dashboard.evaluate("'attacked' in window") is False


async def test_the_overview_leads_to_what_it_shows(dashboard: Page, ids: dict[str, str]):
    await stand_on(dashboard, "overview", ids)
    tiles = dashboard.get_by_label("Jobs by status")
    for name, status, count in (
        ("Ready", "pending", 3), ("Delayed", "pending", 1), ("Running", "processing", 1),
        ("Complete", "complete", 1), ("Failed", "failed", 2), ("Cancelled", "cancelled", 1),
    ):  # fmt: skip
        await expect(tiles.locator("a", has_text=name).locator(".count")).to_have_text(str(count))
        await tiles.locator("a", has_text=name).click()
        await expect(dashboard).to_have_url(f"{dashboard.url.partition('#')[0]}#/jobs?status={status}")
        await dashboard.go_back()
    attention = dashboard.locator(".points")
    await dashboard.get_by_role("button", name=re.compile("Show . more")).click()
    for text in (
        "ValueError in burst", "LeaseLost in lost",
        "<b>AttackError in attack", "invoice is paused", "mail has no worker",
        "Worker mailer-1 has gone silent",
    ):  # fmt: skip
        await expect(attention).to_contain_text(text)
    await expect(dashboard.get_by_role("row", name="frame 105 of 250")).to_contain_text("42 %")
    for span in ("1 h", "24 h", "15 m"):
        await dashboard.get_by_role("button", name=span, exact=True).click()
        await expect(dashboard.get_by_role("button", name=span, exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
    await attention.get_by_role("link", name="ValueError in burst").click()
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text(ids["failed"])


async def test_settings_stay_over_a_reload(dashboard: Page, ids: dict[str, str]):
    await stand_on(dashboard, "settings", ids)
    await dashboard.get_by_label("Dark").check()
    await dashboard.get_by_label("UTC").check()
    await dashboard.get_by_label("Hide payloads").check()
    await dashboard.get_by_label("Live updates").uncheck()
    await dashboard.reload()
    await expect(dashboard.locator("html[data-theme=dark]")).to_be_visible()
    await expect(dashboard.get_by_label("Live updates")).not_to_be_checked()
    await expect(dashboard.get_by_role("button", name="Paused")).to_be_visible()
    await stand_on(dashboard, "job", ids)
    await expect(dashboard.locator(".facts time").first).to_contain_text("UTC")
    await expect(dashboard.get_by_text(str(BEYOND))).to_have_count(0)
    await dashboard.get_by_role("button", name="Show data").click()
    await expect(dashboard.get_by_label("data", exact=True)).to_contain_text(str(BEYOND))
    await dashboard.get_by_role("button", name="Hide").click()
    await expect(dashboard.get_by_label("data", exact=True)).to_have_count(0)


DRAWN = """window.drawn = new Set();
const draw = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  window.drawn.add(text);
  return draw.call(this, text, ...rest);
};"""
"""What keeps the texts of charts."""


async def test_who_comes_first_is_told_how_to_begin(visit: Visit, service: Service):
    async with visit(service.url) as (context, _):
        await context.add_init_script(DRAWN)
        page = await context.new_page()
        await page.goto("")
        await expect(page.get_by_text("No job has come yet.")).to_be_visible()
        await page.wait_for_function("window.drawn.has('10 ms')")
        assert {"0 s", "5 ms"} < set(await page.evaluate("[...window.drawn]"))
        await expect(page.get_by_label("the call", exact=True)).to_contain_text(
            f"curl -X POST '{service.url}/jobs'"
        )
        await page.goto("#/jobs")
        await page.get_by_text("There is no job yet.").get_by_role("link").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Enqueue")


async def test_who_comes_first_sees_a_job_run_be_cancelled_fail_and_succeed_at_last(
    visit: Visit, tmp_path: Path
):
    service = Service(tmp_path, "examples.handlers:router")
    service.start()
    try:
        async with visit(service.url) as (context, _):
            page = await context.new_page()
            status = page.locator(".head .status")
            await page.goto("")
            await expect(page.get_by_label("the call", exact=True)).to_contain_text(
                '"job_type":"csv.profile"'
            )
            await page.set_viewport_size({"width": 390, "height": 800})
            assert await page.evaluate(SPILLED) == []
            await page.get_by_role("row", name='{"seconds":20}').get_by_role("button").click()
            await expect(page.locator(".bar .message")).to_have_text(re.compile(r"step \d+ of 80"))
            await page.get_by_role("button", name="Cancel").click()
            await expect(status).to_have_text("cancelled")
            await page.get_by_role("link", name="Run again").click()
            await page.get_by_role("button", name='"failures":1').click()
            await page.get_by_role("button", name="Enqueue").click()
            await expect(status).to_have_text("failed")
            await expect(page.locator(".bar")).to_contain_text("as the job asked for")
            await page.get_by_role("button", name="Retry").click()
            await expect(status).to_have_text("complete")
            await page.goto("#/enqueue?job_type=csv.profile")
            await expect(page.get_by_label("Delimiter")).to_contain_text(r'"\t"')
            await page.goto("#/")
            await expect(page.get_by_label("Jobs by status")).to_be_visible()
            await expect(page.get_by_text("No job has come yet.")).to_have_count(0)
    finally:
        service.stop()


async def test_what_needs_attention_is_told_up_to_a_number(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, _):
        for number in range(8):
            job_id, lease = await claimed(queue, f"broken-{number}")
            await queue.fail(job_id, "it broke " * 50, lease_token=lease, retry=False)
        await queue.enqueue("unserved", {})
        page = await context.new_page()
        await page.goto("")
        points = page.locator(".points li")
        await expect(points.first).to_contain_text("unserved has no worker")
        await expect(points).to_have_count(6)
        assert all([(await one.bounding_box())["height"] < 80 for one in await points.all()])
        await page.get_by_role("button", name="Show 3 more").click()
        await expect(points).to_have_count(9)


async def test_a_screen_that_meets_an_error_leaves_the_rest_alone(visit: Visit, service: Service):
    async with visit(service.url) as (context, trouble):
        page = await context.new_page()
        await page.route("**/stats", lambda route: route.fulfill(json={}))
        await page.goto("")
        await expect(page.get_by_role("alert")).to_contain_text("This screen has met an error.")
        await page.get_by_role("link", name="Settings").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
        await page.unroute("**/stats")
        await page.get_by_role("link", name="Overview").click()
        await expect(page.get_by_label("Jobs by status")).to_be_visible()
        trouble.forgive("undefined")


@pytest.mark.parametrize("language", ["en-US@posix", "C"])
async def test_a_browser_whose_language_is_none_shows_it_too(visit: Visit, service: Service, language: str):
    async with visit(service.url) as (context, _):
        await context.add_init_script(
            f"Object.defineProperty(Navigator.prototype, 'language', {{ get: () => '{language}' }})"
        )
        page = await context.new_page()
        await page.goto("")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


@pytest.mark.parametrize("name", ["constructor", "valueOf", "__proto__"])
async def test_a_job_type_may_have_any_name(dashboard: Page, running: Service, name: str):
    await dashboard.goto(f"#/jobs?job_type={name}")
    await expect(dashboard.get_by_label("Status")).to_contain_text("failed 0")
    async with JobQueue.from_url(running.backend_url) as queue:
        await queue.enqueue(name, {})
    await expect(dashboard.get_by_label("Status")).to_contain_text("pending 1")


async def test_the_minute_that_is_not_over_is_told_to_be(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, _):
        job_id, lease = await claimed(queue, "counted")
        await queue.complete(job_id, lease_token=lease)
        page = await context.new_page()
        await page.goto("")
        chart = page.get_by_label("Jobs per minute")
        plot = chart.locator(".u-over")
        width = (await plot.bounding_box())["width"]
        await plot.hover(position={"x": width - 1, "y": 20})
        await expect(chart.locator(".readout")).to_have_text(
            re.compile(r"\d\d:\d\d, so far  ·  complete [01]  ·  failed 0")
        )
        await plot.hover(position={"x": 1, "y": 20})
        await expect(chart.locator(".readout")).to_have_text(
            re.compile(r"\d\d:\d\d  ·  complete 0  ·  failed 0")
        )
