"""Job types, workers and the form: what an operator does beside watching."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from jdobb_async_queue import JobQueue
from tests.support.dashboard import BEYOND, enter_silent_worker
from tests.support.restarts import Service
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def queue(running: Service) -> AsyncIterator[JobQueue]:
    async with JobQueue.from_url(running.backend_url) as opened:
        yield opened


def part(page: Page, job_type: str):
    """Return the rows of a job type."""
    return page.locator("table.types tbody").filter(has=page.get_by_role("link", name=job_type, exact=True))


async def test_a_job_type_is_paused_with_a_reason_and_an_end_and_resumed(dashboard: Page, queue: JobQueue):
    await queue.enqueue("paused", {})
    await dashboard.goto("#/types")
    mine = part(dashboard, "paused")
    await mine.get_by_role("button", name="Pause …").click()
    await mine.get_by_label("Reason").fill("month end")
    await mine.get_by_label("Until").fill("2099-12-31T23:59:58")
    await mine.get_by_role("button", name="Pause", exact=True).click()
    await expect(mine.locator(".status.paused")).to_be_visible()
    await expect(mine).to_contain_text("month end, ends in")
    (info,) = [one for one in await queue.job_types() if one.job_type == "paused"]
    assert (info.paused, info.pause_reason) == (True, "month end")
    assert info.pause_until is not None
    assert info.pause_until.year == 2099
    assert await queue.claim(["paused"]) is None
    await mine.get_by_role("button", name="Resume").click()
    await expect(mine.get_by_role("button", name="Pause …")).to_be_visible()
    assert await queue.claim(["paused"]) is not None


async def test_the_schema_of_a_payload_is_shown(dashboard: Page):
    await dashboard.goto("#/types")
    mine = part(dashboard, "greet")
    await mine.get_by_role("button", name="Schema").click()
    await expect(mine.get_by_label("schema", exact=True)).to_contain_text("Who is greeted.")
    await mine.get_by_role("link", name="Enqueue …").click()
    await expect(dashboard.get_by_label("name *")).to_be_visible()


async def test_workers_are_told_to_take_no_more_and_to_end(
    dashboard: Page, queue: JobQueue, running: Service
):
    await queue.register_worker("hand-1", host="here", slots=3, job_types=["by-hand"])
    await enter_silent_worker(running, "silent-1")
    await dashboard.goto("#/workers")
    mine = dashboard.get_by_role("row", name="hand-1")
    await expect(mine).to_contain_text("0 / 3")
    await expect(dashboard.get_by_role("row", name="silent-1")).to_contain_text("silent")
    await mine.get_by_role("button", name="Quiet").click()
    dialog = dashboard.get_by_role("dialog")
    await expect(dialog).to_contain_text("takes no more jobs")
    await dialog.get_by_role("button", name="Quiet it").click()
    await expect(mine.locator(".status")).to_have_text("quiet")
    await expect(mine.get_by_role("button", name="Quiet")).to_be_disabled()
    await mine.get_by_role("button", name="Stop").click()
    await dialog.get_by_role("button", name="Keep it as it is").click()
    await expect(mine.locator(".status")).to_have_text("quiet")
    assert await queue.register_worker("hand-1", job_types=["by-hand"]) == "quiet"
    await mine.get_by_role("button", name="Stop").click()
    await dialog.get_by_role("button", name="Stop it").click()
    await expect(mine.locator(".status")).to_have_text("stop")
    assert await queue.register_worker("hand-1", job_types=["by-hand"]) == "stop"


async def test_a_form_is_made_of_a_schema(dashboard: Page, queue: JobQueue):
    await dashboard.goto("#/enqueue?job_type=greet")
    await dashboard.get_by_role("button", name="Enqueue").click()
    assert await dashboard.get_by_label("Name *").evaluate("(field) => field.validity.valueMissing")
    await dashboard.get_by_label("Name *").fill('Ada "the first"')
    await dashboard.get_by_label("Times").fill(str(BEYOND))
    await dashboard.get_by_label("Style").select_option("loud")
    await dashboard.get_by_label("Politely").check()
    await expect(dashboard.get_by_label("as curl", exact=True)).to_contain_text(str(BEYOND))
    await dashboard.get_by_role("button", name="As JSON").click()
    await expect(dashboard.get_by_label("Data as JSON", exact=True)).to_have_value(
        '{\n  "name": "Ada \\"the first\\"",\n'
        f'  "times": {BEYOND},\n  "style": "loud",\n  "politely": true\n}}'
    )
    await dashboard.get_by_role("button", name="As a form").click()
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.locator(".head .status")).to_have_text("complete")
    await expect(dashboard.get_by_label("results", exact=True)).to_contain_text(str(BEYOND))
    job = await queue.get(await dashboard.locator(".head h1").inner_text())
    assert job is not None
    assert job.data == {"name": 'Ada "the first"', "times": BEYOND, "style": "loud", "politely": True}


async def test_a_text_of_several_lines_is_kept(dashboard: Page, queue: JobQueue):
    await dashboard.goto("#/enqueue?job_type=note")
    text = dashboard.get_by_label("Text")
    await text.fill("city,people\nOslo,709\n")
    await expect(text).to_have_attribute("placeholder", "")
    short = dashboard.get_by_label("Place")
    assert await short.evaluate("(field) => field.localName") == "input"
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.locator(".head .status")).to_have_text("complete")
    job = await queue.get(await dashboard.locator(".head h1").inner_text())
    assert job is not None
    assert job.data == {"text": "city,people\nOslo,709\n"}
    await dashboard.get_by_role("link", name="Run again").click()
    await expect(text).to_have_value("city,people\nOslo,709\n")


async def test_an_example_of_the_schema_fills_the_form(dashboard: Page):
    await dashboard.goto("#/enqueue?job_type=note")
    await dashboard.get_by_role("button", name='{"text":"milk"}').click()
    await expect(dashboard.get_by_label("Text")).to_have_value("milk")
    await dashboard.get_by_role("button", name="As JSON").click()
    await dashboard.get_by_role("button", name='{"text":"eggs"}').click()
    await expect(dashboard.get_by_label("Data as JSON", exact=True)).to_have_value('{\n  "text": "eggs"\n}')


async def test_what_does_not_fit_is_named(dashboard: Page, queue: JobQueue, trouble):
    await dashboard.goto("#/enqueue?job_type=greet")
    await dashboard.get_by_role("button", name="As JSON").click()
    data = dashboard.get_by_label("Data as JSON", exact=True)
    await data.fill('{"name": ')
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.get_by_role("alert")).to_have_text("The data is not a JSON object.")
    await data.fill('{"name": 5}')
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.get_by_role("alert")).to_contain_text("#/data/name")
    trouble.forgive("status of 422")


async def test_any_json_is_enqueued_of_any_job_type(dashboard: Page, queue: JobQueue):
    await dashboard.goto("#/enqueue")
    await dashboard.get_by_label("Job type").fill("brand-new")
    await dashboard.get_by_label("Priority").select_option("high")
    await dashboard.get_by_label("Delay in seconds").fill("3600")
    await dashboard.get_by_label("Data as JSON", exact=True).fill(f'{{"n": {BEYOND}}}')
    await dashboard.get_by_text("Metadata", exact=True).click()
    await dashboard.get_by_label("Metadata as JSON").fill('{"customer": "4711"}')
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.locator(".head .status")).to_have_text("pending")
    job = await queue.get(await dashboard.locator(".head h1").inner_text())
    assert job is not None
    assert (job.job_type, job.priority, job.data) == ("brand-new", "high", {"n": BEYOND})
    assert job.metadata == {"customer": "4711"}
    assert (job.run_at - job.created_at).total_seconds() == 3600
    assert await queue.cancel(job.id, "seen enough")

    async def is_shown() -> bool:
        return await dashboard.locator(".head .status").inner_text() == "cancelled"

    await eventually(is_shown)
