"""The dashboard of a service with API keys: signing in and out, and what a key may not do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from jdobb_async_queue import JobQueue
from jdobb_service.keys import new_key
from tests.browser.conftest import Visit
from tests.support.restarts import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADMIN, ADMIN_SECRET = new_key("admin", ("admin",))
READER, READER_SECRET = new_key("reader", ("read",))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    keys = f"{ADMIN},{READER}"
    started = Service(
        tmp_path_factory.mktemp("guarded"),
        JDOBB_API_KEYS=keys,
        JDOBB_SIGNING_SECRET="of thirty-two characters or more",
    )
    started.start()
    yield started
    started.stop()


async def sign_in(page: Page, secret: str) -> None:
    await page.goto("")
    await page.get_by_label("API key").fill(secret)
    await page.keyboard.press("Enter")


async def test_a_key_opens_it_until_one_signs_out(visit: Visit, guarded: Service):
    async with visit(guarded.url) as (context, trouble):
        page = await context.new_page()
        await sign_in(page, "wrong")
        await expect(page.get_by_role("alert")).to_be_visible()
        await sign_in(page, ADMIN_SECRET)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        (cookie,) = await context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert ADMIN_SECRET not in await page.evaluate(
            "JSON.stringify([{ ...localStorage }, { ...sessionStorage }])"
        )
        await page.goto("#/enqueue")
        await expect(page.get_by_label("as curl", exact=True)).to_contain_text("Bearer $JDOBB_API_KEY")
        await page.get_by_label("Job type").fill("guarded")
        await page.get_by_role("button", name="Enqueue").click()
        await expect(page.locator(".head .status")).to_have_text("pending")
        other = await context.new_page()
        await other.goto("#/jobs")
        await expect(other.locator("table.jobs tbody tr").first).to_be_visible()
        await page.goto("#/settings")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("API key")).to_be_visible()
        assert await context.cookies() == []
        trouble.forgive("status of 401")


async def test_what_a_key_may_not_do_is_greyed_out_and_refused(visit: Visit, guarded: Service):
    async with JobQueue.from_url(guarded.backend_url) as queue, visit(guarded.url) as (context, trouble):
        pending, failed = await queue.enqueue("read-only", {}), await queue.enqueue("read-only", {})
        await queue.cancel(failed)
        await queue.register_worker("hand-1", job_types=["read-only"])
        first = await context.new_page()
        await sign_in(first, READER_SECRET)
        await expect(first.get_by_role("heading", level=1)).to_have_text("Overview")
        page = await context.new_page()
        for path, names in (
            (f"#/jobs/{pending}", ["Cancel"]),
            (f"#/jobs/{failed}", ["Retry", "Delete"]),
            ("#/types", ["Pause …"]),
            ("#/workers", ["Quiet", "Stop"]),
            ("#/enqueue?job_type=read-only", ["Enqueue"]),
        ):
            await page.goto(path)
            for name in names:
                await expect(page.get_by_role("button", name=name).first).to_be_disabled()
        await page.goto("#/jobs")
        await page.get_by_label("Select all that are shown").check()
        for name in ("Cancel", "Retry", "Delete"):
            await expect(page.get_by_label("Selected jobs").get_by_role("button", name=name)).to_be_disabled()
        status = await page.evaluate(
            "path => fetch(path, { method: 'POST' }).then((answer) => answer.status)",
            f"jobs/{pending}/cancel",
        )
        assert status == 403
        await page.goto(f"#/jobs/{pending}")
        button = page.get_by_role("button", name="Cancel")
        await button.evaluate("(button) => button.removeAttribute('disabled')")
        await button.click()
        await expect(page.get_by_role("alert")).to_contain_text("scope")
        job = await queue.get(pending)
        assert job is not None
        assert job.status == "pending"
        trouble.forgive("status of 40[13]")


async def test_what_one_was_at_is_kept_when_the_session_ends(visit: Visit, guarded: Service):
    async with JobQueue.from_url(guarded.backend_url) as queue, visit(guarded.url) as (context, trouble):
        page = await context.new_page()
        await sign_in(page, ADMIN_SECRET)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        await page.goto("#/enqueue?job_type=kept")
        await page.get_by_label("Data as JSON", exact=True).fill('{"typed": "for an hour"}')
        await context.clear_cookies()
        await page.get_by_role("button", name="Enqueue").click()
        await page.get_by_label("API key").fill(ADMIN_SECRET)
        await expect(page.get_by_role("button", name="Enqueue")).to_be_hidden()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("API key")).to_have_count(0)
        await expect(page.get_by_label("Data as JSON", exact=True)).to_have_value('{"typed": "for an hour"}')
        await page.get_by_role("button", name="Enqueue").click()
        await expect(page.locator(".head .status")).to_have_text("pending")
        job = await queue.get(await page.locator(".head h1").inner_text())
        assert job is not None
        assert job.data == {"typed": "for an hour"}
        trouble.forgive("status of 401")


async def test_keys_do_nothing_while_one_has_to_sign_in(visit: Visit, guarded: Service):
    async with JobQueue.from_url(guarded.backend_url) as queue, visit(guarded.url) as (context, trouble):
        job_id = await queue.enqueue("locked", {})
        page = await context.new_page()
        await sign_in(page, ADMIN_SECRET)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        await page.goto(f"#/jobs/{job_id}")
        await expect(page.get_by_role("button", name="Cancel")).to_be_enabled()
        (cookie,) = await context.cookies()
        await context.clear_cookies()
        await page.get_by_role("link", name="Run again").click()
        await expect(page.get_by_label("API key")).to_be_visible()
        await page.go_back()
        await page.get_by_role("heading", name="jdobb").click()
        await context.add_cookies([cookie])
        asked = len(trouble.requests)
        await page.keyboard.press("c")
        await page.get_by_label("API key").fill(ADMIN_SECRET)
        await page.keyboard.press("Enter")
        await expect(page.locator(".head .status")).to_have_text("pending")
        assert not [path for path in trouble.requests[asked:] if path.endswith("/cancel")]
        trouble.forgive("status of 401")
