"""Screens with much to show: they stay short, and what can be clicked is in sight."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from jdobb_async_queue import JobQueue
from tests.browser.conftest import Visit
from tests.support.restarts import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOWN = 6
HOST = "a-rather-long-name-of-a-host." * 4 + "internal.example.org"


async def test_of_many_points_the_first_are_shown_and_the_others_on_demand(visit: Visit, service: Service):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, _):
        for number in range(SHOWN + 2):
            await queue.pause(f"kind{number}")
            await queue.enqueue(f"kind{number}")
        page = await context.new_page()
        await page.goto("#/")
        points = page.locator(".points li")
        await expect(points).to_have_count(SHOWN)
        await page.get_by_role("button", name="Show 2 more").click()
        await expect(points).to_have_count(SHOWN + 2)


async def test_the_buttons_of_workers_are_in_sight_however_much_there_is_to_say(
    visit: Visit, service: Service
):
    async with JobQueue.from_url(service.backend_url) as queue, visit(service.url) as (context, _):
        await queue.register_worker(
            "worker-2", host=HOST, pid=123456, slots=100, job_types=[f"kind.{n}" for n in range(20)]
        )
        page = await context.new_page()
        await page.goto("#/workers")
        await expect(page.get_by_text(HOST)).to_be_visible()
        hidden = await page.locator(".card.scroll").evaluate("card => card.scrollWidth - card.clientWidth")
        assert hidden == 0
