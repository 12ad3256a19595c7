"""What goes wrong between a page and what it shows: double clicks, jobs that are gone, lost answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from jdobb_async_queue import JobQueue, NewJob
from tests.support.dashboard import Trouble, claimed
from tests.support.restarts import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def queue(running: Service) -> AsyncIterator[JobQueue]:
    async with JobQueue.from_url(running.backend_url) as opened:
        yield opened


async def test_the_second_click_of_a_double_click_does_nothing(dashboard: Page, queue: JobQueue):
    job_id = await queue.enqueue("twice", {})
    await dashboard.goto(f"#/jobs/{job_id}")
    status = dashboard.locator(".head .status")
    await dashboard.get_by_role("button", name="Cancel").dblclick()
    await expect(status).to_have_text("cancelled")
    await dashboard.get_by_role("button", name="Retry").dblclick()
    await expect(status).to_have_text("pending")
    await expect(dashboard.get_by_role("button", name="Cancel")).to_be_enabled()
    await expect(dashboard.get_by_role("alert")).to_have_count(0)
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text(job_id)
    await dashboard.goto("#/enqueue?job_type=twice")
    await dashboard.get_by_role("button", name="Enqueue").dblclick()
    await expect(status).to_have_text("pending")
    assert (await queue.counts())["twice"] == {"pending": 2}


async def test_the_buttons_of_a_job_stay_where_they_are(dashboard: Page, queue: JobQueue):
    job_id = await queue.enqueue("still", {})
    await dashboard.goto(f"#/jobs/{job_id}")
    actions = dashboard.locator(".head .actions > *")
    await expect(actions).to_have_text(["Cancel", "Retry", "Run again …", "Delete"])
    assert await actions.evaluate_all("(all) => all.map((one) => one.disabled)") == [
        False, True, None, True,
    ]  # fmt: skip
    before = await actions.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().x)")
    await dashboard.get_by_role("button", name="Cancel").click()
    await expect(dashboard.get_by_role("button", name="Cancel")).to_be_disabled()
    await expect(dashboard.get_by_role("button", name="Retry")).to_be_enabled()
    await expect(dashboard.get_by_role("button", name="Delete")).to_be_enabled()
    assert await actions.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().x)") == before


async def test_a_job_whose_answer_was_lost_is_put_in_once(dashboard: Page, queue: JobQueue, trouble: Trouble):
    lost = []

    async def lose(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(await (await route.fetch()).json())
            await route.abort()
        else:
            await route.fallback()

    await dashboard.route("**/jobs", lose)
    await dashboard.goto("#/enqueue?job_type=answer")
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.get_by_role("alert")).to_contain_text("The service did not answer.")
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text(lost[0]["id"])
    assert (await queue.counts())["answer"] == {"pending": 1}
    trouble.forgive("ERR_FAILED")


async def test_a_job_that_is_removed_meanwhile_is_said_to_be(
    dashboard: Page, queue: JobQueue, trouble: Trouble
):
    job_id = await queue.enqueue("vanishing", {"n": 1})
    await queue.cancel(job_id)
    await dashboard.goto(f"#/jobs/{job_id}")
    await expect(dashboard.locator(".head .status")).to_have_text("cancelled")
    assert await queue.delete(job_id)
    await dashboard.get_by_role("button", name="Retry").click()
    await expect(dashboard.get_by_text("This job has been removed.")).to_be_visible()
    await expect(dashboard.get_by_role("alert")).to_have_count(0)
    for name in ("Cancel", "Retry", "Delete"):
        await expect(dashboard.get_by_role("button", name=name)).to_be_disabled()
    await expect(dashboard.get_by_label("data", exact=True)).to_contain_text('"n": 1')
    await dashboard.get_by_label("Path").get_by_role("link", name="vanishing").click()
    await expect(dashboard.get_by_text("No job fits.")).to_be_visible()
    trouble.forgive("status of 404")


async def select_all(page: Page, path: str, rows: int) -> Locator:
    """Open a list, select what it shows, and return the bar with the actions."""
    await page.goto(path)
    await expect(page.locator("table.jobs tbody tr")).to_have_count(rows)
    await page.get_by_label("Select all that are shown").check()
    return page.get_by_label("Selected jobs")


async def test_what_cannot_be_done_to_those_that_are_selected_is_greyed_out(dashboard: Page, queue: JobQueue):
    complete, lease = await claimed(queue, "greyed")
    await queue.complete(complete, lease_token=lease)
    await queue.cancel(await queue.enqueue("greyed", {}))
    can = {"complete": ["Delete"], "cancelled": ["Retry", "Delete"]}
    for status, names in can.items():
        bar = await select_all(dashboard, f"#/jobs?job_type=greyed&status={status}", 1)
        for name in ("Cancel", "Retry", "Delete"):
            button = bar.get_by_role("button", name=name, exact=True)
            await expect(button).to_be_enabled(enabled=name in names)
    bar = await select_all(dashboard, "#/jobs?job_type=greyed", 2)
    await expect(bar.get_by_role("button", name="Retry")).to_be_enabled()
    await expect(bar.get_by_role("button", name="Cancel")).to_be_disabled()


async def test_the_number_that_is_asked_back_is_of_those_that_will_be_changed(
    dashboard: Page, queue: JobQueue
):
    complete, lease = await claimed(queue, "counted")
    await queue.complete(complete, lease_token=lease)
    for _ in range(2):
        await queue.cancel(await queue.enqueue("counted", {}))
    bar = await select_all(dashboard, "#/jobs?job_type=counted", 3)
    await bar.get_by_role("button", name="Retry").click()
    dialog = dashboard.get_by_role("dialog")
    await expect(dialog).to_contain_text("Retry 2 jobs?")
    await expect(dialog).to_contain_text("Of the 3 selected, 1 stay as they are")
    await dialog.get_by_role("button", name="Retry them").click()
    await expect(
        dashboard.get_by_role("status").filter(has_text="2 put back, 1 could not be.")
    ).to_be_visible()


async def test_nothing_is_asked_when_nothing_is_left_to_change(dashboard: Page, queue: JobQueue):
    job_id = await queue.enqueue("left", {})
    await queue.cancel(job_id)
    bar = await select_all(dashboard, "#/jobs?job_type=left", 1)
    assert await queue.delete(job_id)
    await bar.get_by_role("button", name="Retry").click()
    await expect(bar).to_contain_text("No job of these is failed or cancelled.")
    await expect(dashboard.get_by_role("dialog")).to_have_count(0)


async def test_more_jobs_are_changed_than_one_call_takes(dashboard: Page, queue: JobQueue):
    for _ in range(2):
        await queue.enqueue_many([NewJob(job_type="thousands")] * 510)
    await dashboard.goto("#/jobs?job_type=thousands")
    rows = dashboard.locator("table.jobs tbody tr")
    for count in range(50, 1020, 200):
        await expect(rows).to_have_count(count)
        await dashboard.get_by_role("button", name="Show more").click()
    await expect(rows).to_have_count(1020)
    await dashboard.get_by_label("Select all that are shown").check()
    await dashboard.get_by_label("Selected jobs").get_by_role("button", name="Cancel").click()
    dialog = dashboard.get_by_role("dialog")
    await expect(dialog).to_contain_text("Cancel 1,020 jobs?")
    await dialog.get_by_role("button", name="Cancel them").click()
    await expect(dashboard.get_by_role("status").filter(has_text="1,020 cancelled.")).to_be_visible()
    assert (await queue.counts())["thousands"] == {"cancelled": 1020}


async def test_a_filter_by_any_name_keeps_to_it(dashboard: Page, queue: JobQueue):
    for name in ("__proto__", "constructor"):
        await queue.enqueue("named", {}, metadata={name: "x"})
        bar = await select_all(dashboard, f"#/jobs?metadata.{name}=x", 1)
        for _ in range(50):
            await queue.enqueue("named", {}, metadata={name: "x"})
        await dashboard.reload()
        bar = await select_all(dashboard, f"#/jobs?metadata.{name}=x", 50)
        await bar.get_by_role("button", name="Select all that match").click()
        await bar.get_by_role("button", name="Cancel").click()
        await expect(dashboard.get_by_role("dialog")).to_contain_text("Cancel 51 jobs?")
        await dashboard.get_by_role("button", name="Keep it as it is").click()
