"""What goes wrong between a page and what it shows: double clicks, jobs that are gone, lost answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from jdobb_async_queue import JobQueue
from tests.support.dashboard import Trouble
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
