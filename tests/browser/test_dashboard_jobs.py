"""The list of jobs: filters, live rows, selection, actions on many, export, keys."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from jdobb_async_queue import JobQueue, NewJob
from tests.browser.conftest import Visit
from tests.support.dashboard import BEYOND, Trouble, claimed
from tests.support.restarts import Service
from tests.support.waiting import WITHIN

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def queue(running: Service) -> AsyncIterator[JobQueue]:
    async with JobQueue.from_url(running.backend_url) as opened:
        yield opened


def rows(page: Page):
    return page.locator("table.jobs tbody tr")


async def failed(queue: JobQueue, job_type: str, count: int) -> list[str]:
    ids = []
    for number in range(count):
        job_id, lease = await claimed(queue, job_type, {"n": number})
        await queue.fail(job_id, "it broke", lease_token=lease, retry=False)
        ids.append(job_id)
    return ids


async def claimed_again(queue: JobQueue, job_type: str) -> None:
    assert await queue.claim([job_type], worker_id="by-hand") is not None


async def test_what_is_filtered_stands_in_the_address(dashboard: Page, queue: JobQueue):
    await failed(queue, "filter", 1)
    one = await queue.enqueue("filter", {}, metadata={"customer": "4711"})
    await queue.enqueue("filter", {}, metadata={"customer": "4712"})
    await dashboard.goto("#/jobs")
    await dashboard.get_by_label("Job type").select_option("filter")
    await expect(rows(dashboard)).to_have_count(3)
    tabs = dashboard.get_by_label("Status")
    await expect(tabs).to_have_text(
        re.compile(r"all 3\s*pending 2\s*processing 0\s*complete 0\s*failed 1\s*cancelled 0")
    )
    await tabs.get_by_role("link", name="pending").click()
    await expect(rows(dashboard)).to_have_count(2)
    await dashboard.get_by_label("Filter by metadata").fill("customer=4711")
    await dashboard.keyboard.press("Enter")
    await expect(rows(dashboard)).to_have_count(1)
    await expect(dashboard).to_have_url(
        re.compile(r"#/jobs\?job_type=filter&status=pending&metadata\.customer=4711$")
    )
    await dashboard.reload()
    await expect(rows(dashboard)).to_have_count(1)
    await expect(dashboard.get_by_role("link", name=f"…{one[-12:]}")).to_be_visible()
    await dashboard.locator(".chip", has_text="customer").click()
    await expect(rows(dashboard)).to_have_count(2)
    await dashboard.go_back()
    await expect(rows(dashboard)).to_have_count(1)


async def test_a_job_is_found_by_its_id(dashboard: Page, trouble: Trouble, queue: JobQueue):
    job_id = await queue.enqueue("search", {})
    await dashboard.goto("")
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text("Overview")
    await dashboard.keyboard.press("/")
    await expect(dashboard.get_by_label("Find a job")).to_be_focused()
    await dashboard.keyboard.type(job_id)
    await dashboard.keyboard.press("Enter")
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text(job_id)
    await dashboard.keyboard.press("/")
    await expect(dashboard.get_by_label("Find a job")).to_be_focused()
    await dashboard.keyboard.type("nothing-like-it")
    await dashboard.keyboard.press("Enter")
    await expect(dashboard.get_by_role("alert")).to_be_visible()
    trouble.forgive("status of 404")


async def test_new_rows_wait_and_known_ones_change_in_place(dashboard: Page, queue: JobQueue):
    first, lease = await claimed(queue, "calm", max_attempts=1)
    await dashboard.goto("#/jobs?job_type=calm")
    await expect(rows(dashboard)).to_have_count(1)
    place = await rows(dashboard).first.bounding_box()
    await queue.update(first, 0.5, "half", lease_token=lease)
    await expect(rows(dashboard).first).to_contain_text("50 %")
    for _ in range(3):
        await queue.enqueue("calm", {})
    pill = dashboard.get_by_role("button", name="3 new or changed")
    await expect(pill).to_be_visible()
    await expect(rows(dashboard)).to_have_count(1)
    await queue.complete(first, lease_token=lease)
    await expect(rows(dashboard).first).to_contain_text("complete")
    now = await rows(dashboard).first.bounding_box()
    assert (now["x"], now["y"], now["height"]) == (place["x"], place["y"], place["height"])
    await pill.click()
    await expect(rows(dashboard)).to_have_count(4)
    await expect(pill).to_have_count(0)
    await expect(rows(dashboard).last).to_contain_text("complete")


async def test_only_what_fits_the_filter_is_told_to_be_new(dashboard: Page, queue: JobQueue):
    await queue.enqueue("mine", {})
    other, lease = await claimed(queue, "not-mine")
    await dashboard.goto("#/jobs?job_type=mine&status=pending")
    await expect(rows(dashboard)).to_have_count(1)
    watcher = await dashboard.context.new_page()
    await watcher.goto(f"#/jobs/{other}")
    await queue.complete(other, lease_token=lease)
    await expect(watcher.locator(".head .status")).to_have_text("complete")
    await queue.enqueue("mine", {})
    await expect(dashboard.locator(".pill")).to_contain_text("1 new or changed")
    taken = await queue.claim(["mine"], worker_id="by-hand")
    assert taken is not None
    await expect(rows(dashboard).first).to_contain_text("processing")
    await dashboard.locator(".pill").click()
    await expect(rows(dashboard)).to_have_count(1)
    await expect(rows(dashboard).first).to_contain_text("pending")


async def test_a_row_says_when_a_job_is_due_and_why_it_has_ended(dashboard: Page, queue: JobQueue):
    await queue.cancel(await queue.enqueue("says", {}), "no longer wanted")
    await queue.enqueue("says", {}, delay=3600)
    job_id, lease = await claimed(queue, "says", max_attempts=3)
    await queue.fail(job_id, "it broke", lease_token=lease, retry_in=7200)
    await dashboard.goto("#/jobs?job_type=says")
    await expect(rows(dashboard)).to_have_count(3)
    says = rows(dashboard).locator(".says .says")
    await expect(says.nth(0)).to_contain_text(re.compile(r"again in (2 h|1 h 59 m)"))
    await expect(rows(dashboard).nth(0).locator(".attempt")).to_have_text("1 / 3")
    await expect(says.nth(1)).to_contain_text(re.compile(r"due in (1 h|59 m \d+ s)"))
    await expect(says.nth(2)).to_have_text("no longer wanted")


async def test_an_attempt_by_an_operator_is_not_held_against_the_limit(dashboard: Page, queue: JobQueue):
    (job_id,) = await failed(queue, "held", 1)
    await queue.retry(job_id)
    await claimed_again(queue, "held")
    await dashboard.goto("#/jobs?job_type=held")
    await expect(rows(dashboard).first.locator(".attempt")).to_have_text("2")
    await dashboard.goto(f"#/jobs/{job_id}")
    await expect(dashboard.locator(".facts")).to_contain_text(re.compile(r"Attempt\s*2\s*Worker"))


async def test_many_are_changed_after_their_number_was_confirmed(dashboard: Page, queue: JobQueue):
    await failed(queue, "many", 3)
    await dashboard.goto("#/jobs?job_type=many&status=failed")
    bulk = dashboard.get_by_label("Selected jobs")
    dialog = dashboard.get_by_role("dialog")
    await dashboard.get_by_label("Select all that are shown").check()
    await expect(bulk).to_contain_text("3 selected")
    await rows(dashboard).first.get_by_role("checkbox").uncheck()
    await bulk.get_by_role("button", name="Retry").click()
    await expect(dialog).to_contain_text("Retry 2 jobs?")
    await dialog.get_by_role("button", name="Keep it as it is").click()
    assert (await queue.counts())["many"]["failed"] == 3
    await bulk.get_by_role("button", name="Retry").click()
    await dialog.get_by_role("button", name="Retry them").click()
    await expect(dashboard.get_by_role("status").filter(has_text="2 put back.")).to_be_visible()
    await expect(rows(dashboard)).to_have_count(1)
    assert (await queue.counts())["many"] == {"pending": 2, "failed": 1}
    await rows(dashboard).first.get_by_role("checkbox").check()
    await bulk.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete it").click()
    await expect(dashboard.get_by_text("No job fits.")).to_be_visible()
    assert (await queue.counts())["many"] == {"pending": 2}


async def test_all_that_match_are_changed_also_beyond_the_page(dashboard: Page, queue: JobQueue):
    for number in range(60):
        await queue.enqueue("beyond", {"n": number})
    await dashboard.goto("#/jobs?job_type=beyond")
    await expect(rows(dashboard)).to_have_count(50)
    await dashboard.get_by_label("Select all that are shown").check()
    bulk = dashboard.get_by_label("Selected jobs")
    await bulk.get_by_role("button", name="Select all that match").click()
    await bulk.get_by_role("button", name="Cancel", exact=True).click()
    dialog = dashboard.get_by_role("dialog")
    await expect(dialog).to_contain_text("Cancel 60 jobs?")
    await dialog.get_by_role("button", name="Cancel them").click()
    await expect(dashboard.get_by_role("status").filter(has_text="60 cancelled.")).to_be_visible()
    assert (await queue.counts())["beyond"]["cancelled"] == 60
    await dashboard.get_by_role("button", name="Show more").click()
    await expect(rows(dashboard)).to_have_count(60)


async def test_what_is_filtered_is_exported_exactly(dashboard: Page, queue: JobQueue, running: Service):
    text = 'ä\n"{[,'
    ids = [
        await queue.enqueue("export", {"n": BEYOND + 2 * number, "text": text, "float": 1.0})
        for number in range(120)
    ]
    await dashboard.goto("#/jobs?job_type=export")
    async with dashboard.expect_download() as coming:
        await dashboard.get_by_role("button", name="Export NDJSON").click()
    download = await coming.value
    assert download.suggested_filename == "jobs.ndjson"
    lines = (await download.path()).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids[::-1]
    answer = await asyncio.to_thread(
        httpx.get, f"{running.url}/jobs?job_type=export&limit=1&include=data,results,errors", timeout=WITHIN
    )
    assert f'{{"items":[{lines[0]}],' in answer.text
    assert json.loads(lines[-1])["data"]["n"] == BEYOND


async def test_the_list_is_worked_on_by_keys_alone(dashboard: Page, queue: JobQueue):
    ids = await failed(queue, "keys", 3)
    await dashboard.goto("#/jobs?job_type=keys")
    await expect(rows(dashboard)).to_have_count(3)
    await dashboard.keyboard.press("j")
    await dashboard.keyboard.press("j")
    await dashboard.keyboard.press("j")
    await dashboard.keyboard.press("k")
    await expect(rows(dashboard).nth(1)).to_have_class("current")
    await dashboard.keyboard.press("r")
    await expect(rows(dashboard).nth(1)).to_contain_text("pending")
    await dashboard.keyboard.press("c")
    await expect(rows(dashboard).nth(1)).to_contain_text("cancelled")
    await dashboard.keyboard.press("x")
    await dashboard.keyboard.press("k")
    await dashboard.keyboard.press("x")
    bulk = dashboard.get_by_label("Selected jobs")
    await expect(bulk).to_contain_text("2 selected")
    await bulk.get_by_role("button", name="Delete").focus()
    await dashboard.keyboard.press("Enter")
    await expect(dashboard.get_by_role("dialog")).to_contain_text("Delete 2 jobs?")
    await dashboard.keyboard.press("Tab")
    await dashboard.keyboard.press("Enter")
    await expect(rows(dashboard)).to_have_count(1)
    await dashboard.keyboard.press("j")
    await dashboard.keyboard.press("Enter")
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text(ids[0])
    await expect(dashboard.locator(".head .status")).to_have_text("failed")
    await dashboard.keyboard.press("r")
    await expect(dashboard.locator(".head .status")).to_have_text("pending")
    await dashboard.keyboard.press("c")
    await expect(dashboard.locator(".head .status")).to_have_text("cancelled")


async def test_two_keys_lead_to_each_screen(dashboard: Page):
    await dashboard.clock.set_fixed_time(datetime.now(UTC))  # so the second key is never late
    await dashboard.goto("")
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text("Overview")
    for key, heading in (
        ("j", "Jobs"), ("t", "Job types"), ("w", "Workers"),
        ("e", "Enqueue"), ("s", "Settings"), ("o", "Overview"),
    ):  # fmt: skip
        await dashboard.keyboard.press("g")
        await dashboard.keyboard.press(key)
        await expect(dashboard.get_by_role("heading", level=1)).to_have_text(heading)
    await dashboard.keyboard.press("g")
    await dashboard.keyboard.press("?")
    await expect(dashboard.get_by_role("dialog", name="Keys")).to_have_count(0)
    await dashboard.keyboard.press("?")
    await expect(dashboard.get_by_role("dialog", name="Keys")).to_be_visible()
    await dashboard.keyboard.press("Escape")
    await expect(dashboard.get_by_role("dialog", name="Keys")).to_have_count(0)
    await dashboard.keyboard.press("p")
    await expect(dashboard.get_by_role("button", name="Paused")).to_be_visible()
    await dashboard.keyboard.press("p")
    await expect(dashboard.get_by_role("button", name="Live")).to_be_visible()


async def test_the_tab_key_comes_to_everything(dashboard: Page, queue: JobQueue):
    await queue.enqueue("tabbing", {})
    await dashboard.goto("#/jobs?job_type=tabbing")
    await expect(rows(dashboard)).to_have_count(1)
    wanted = await dashboard.evaluate(
        "document.querySelectorAll('a[href], button:enabled, input, select, textarea').length"
    )
    reached = set()
    for _ in range(wanted):
        await dashboard.keyboard.press("Tab")
        reached.add(
            await dashboard.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
    assert len(reached) == wanted
    await dashboard.reload()
    await expect(rows(dashboard)).to_have_count(1)
    await dashboard.keyboard.press("Tab")
    await dashboard.keyboard.press("Enter")
    await expect(dashboard.locator("main")).to_be_focused()


async def test_a_list_of_very_many_asks_for_one_page(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue:
        for number in range(100):
            marked = NewJob(job_type="very-many", metadata={"at": str(number)})
            await queue.enqueue_many([NewJob(job_type="very-many")] * 999 + [marked])
    async with visit(service.url) as (context, trouble):
        page = await context.new_page()
        await page.goto("#/jobs")
        await expect(rows(page)).to_have_count(50)
        await expect(page.get_by_label("Status")).to_contain_text("100,000")
        await page.goto("#/")
        await expect(page.get_by_label("Jobs by status")).to_contain_text("100,000")
        await expect(page.get_by_role("row", name="very-many")).to_be_visible()
        asked = {path for path in trouble.requests if not path.startswith("/ui/")}
        await page.goto("#/jobs?metadata.at=95")
        await expect(rows(page)).to_have_count(1)
        await page.goto("#/jobs?metadata.at=85")
        await expect(page.get_by_text("No job fits among those that were looked at so far.")).to_be_visible()
        await page.get_by_role("button", name="Look further").click()
        await expect(rows(page)).to_have_count(1)
    assert asked == {
        "/", "/session", "/stats", "/job-types", "/workers", "/stats/errors", "/stats/history?window=900",
        "/jobs?limit=50", "/jobs?status=processing&limit=10",
    }  # fmt: skip
