"""The page of one job: what it shows, copies and does."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from jdobb_async_queue import JobQueue
from tests.browser.conftest import Visit
from tests.support.dashboard import BEYOND, claimed
from tests.support.restarts import Service
from tests.support.waiting import WITHIN

pytestmark = pytest.mark.asyncio(loop_scope="session")

DATA = {"n": BEYOND, "text": 'it\'s "so" \\ ä\n$(id) `id`', "list": [1, [], {}], "float": 1.0}


@pytest_asyncio.fixture(loop_scope="session")
async def queue(running: Service) -> AsyncIterator[JobQueue]:
    async with JobQueue.from_url(running.backend_url) as opened:
        yield opened


async def open_job(page: Page, job_id: str) -> None:
    await page.goto(f"#/jobs/{job_id}")
    await expect(page.locator(".head h1")).to_have_text(job_id)


async def press_copy(page: Page, button: str) -> None:
    """Copy, and return when the page has said that it did; it says so for a moment only."""
    await page.evaluate(
        """() => {
          window.copied = new Promise((resolve) => {
            const look = () => [...document.querySelectorAll("button.copy")]
              .some((button) => button.textContent === "Copied") && resolve();
            const everything = { subtree: true, childList: true, characterData: true };
            new MutationObserver(look).observe(document.body, everything);
          });
        }"""
    )
    await page.get_by_role("button", name=button).click()
    await page.evaluate("window.copied")


async def clipboard(page: Page) -> str:
    """Return what was copied, by pasting it."""
    await page.goto("#/enqueue")
    field = page.get_by_label("Metadata as JSON")
    await page.get_by_text("Metadata", exact=True).click()
    await field.fill("")
    await field.press("ControlOrMeta+v")
    return await field.input_value()


async def test_a_bar_moves_to_its_end_without_a_reload(dashboard: Page, queue: JobQueue):
    job_id, lease = await claimed(queue, "progress", {})
    await open_job(dashboard, job_id)
    await dashboard.evaluate("window.sameDocument = true")
    for percent in (20, 40, 60, 80):
        await queue.update(job_id, percent / 100, f"at {percent}", lease_token=lease)
        await expect(dashboard.locator(".bar")).to_have_text(re.compile(rf"{percent} %\s*at {percent}"))
    await queue.complete(job_id, {"n": BEYOND}, lease_token=lease)
    await expect(dashboard.locator(".bar")).to_contain_text("100 %")
    await expect(dashboard.locator(".head .status")).to_have_text("complete")
    await expect(dashboard.get_by_label("results", exact=True)).to_contain_text(str(BEYOND))
    await expect(dashboard.locator(".timeline .what")).to_have_text(
        ["complete", "80 %", "60 %", "40 %", "20 %", "processing", "pending"]
    )
    assert await dashboard.evaluate("window.sameDocument")


async def test_each_attempt_is_told_with_its_traceback(dashboard: Page, queue: JobQueue):
    job_id, lease = await claimed(queue, "attempts", max_attempts=2)
    await queue.fail(job_id, "first", lease_token=lease, type="OneError", traceback="Traceback 1", retry_in=0)
    second = await queue.claim(["attempts"], wait=WITHIN)
    assert second is not None
    await queue.fail(
        job_id, "second", lease_token=second.lease_token, type="TwoError", traceback="Traceback 2"
    )
    await open_job(dashboard, job_id)
    errors = dashboard.locator("details.error")
    await expect(errors).to_have_count(2)
    await expect(errors.first).to_contain_text(re.compile(r"TwoError attempt 2, .*second", re.DOTALL))
    await expect(errors.first.locator("pre")).to_have_text("Traceback 2")
    await errors.last.locator("summary").click()
    await expect(errors.last.locator("pre")).to_have_text("Traceback 1")
    await expect(dashboard.locator(".timeline")).to_contain_text("processing, attempt 2")
    await expect(dashboard.locator(".facts")).to_contain_text("2 of 2 times")


@pytest.mark.parametrize("api", ["with the API", "without the API"])
async def test_what_a_job_carries_is_copied_as_it_is(
    visit: Visit, running: Service, queue: JobQueue, api: str
):
    job_id = await queue.enqueue("copied", DATA, metadata={"customer": "4711", "n": BEYOND})
    async with visit(running.url) as (context, _):
        if api == "without the API":
            await context.add_init_script("delete Navigator.prototype.clipboard")
        else:
            await context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = await context.new_page()
        for label, wanted in (("data", DATA), ("metadata", {"customer": "4711", "n": BEYOND})):
            await open_job(page, job_id)
            await expect(page.get_by_label(label, exact=True)).to_contain_text(str(BEYOND))
            await press_copy(page, f"Copy {label}")
            copied = await clipboard(page)
            assert json.loads(copied) == wanted
            assert str(BEYOND) in copied
        await open_job(page, job_id)
        await press_copy(page, "Copy the id")
        assert await clipboard(page) == job_id


async def test_the_call_that_is_copied_makes_an_equal_job(dashboard: Page, queue: JobQueue):
    job_id = await queue.enqueue(
        "shell", DATA, metadata={"customer": "it's"}, priority="high", timeout=12.5, max_attempts=7, ttl=3600
    )
    await open_job(dashboard, job_id)
    await press_copy(dashboard, "Copy as a curl call")
    call = await clipboard(dashboard)
    done = subprocess.run(["/bin/sh", "-c", call], check=True, capture_output=True)  # noqa: ASYNC221 - short, ours
    copy = await queue.get(json.loads(done.stdout)["id"])
    original = await queue.get(job_id)
    assert copy is not None
    assert original is not None
    assert copy.id != original.id
    for name in ("job_type", "data", "metadata", "priority", "timeout", "max_attempts", "ttl", "max_lost"):
        assert getattr(copy, name) == getattr(original, name)
    assert await queue.cancel(copy.id)


async def test_a_job_is_cancelled_retried_run_again_and_deleted(dashboard: Page, queue: JobQueue):
    job_id = await queue.enqueue("acted", {"n": BEYOND}, metadata={"customer": "4711"}, priority="low")
    await open_job(dashboard, job_id)
    status = dashboard.locator(".head .status")
    await dashboard.get_by_role("button", name="Cancel").click()
    await expect(status).to_have_text("cancelled")
    await dashboard.get_by_role("button", name="Retry").click()
    await expect(status).to_have_text("pending")
    await dashboard.get_by_role("button", name="Cancel").click()
    await expect(status).to_have_text("cancelled")
    await dashboard.get_by_role("link", name="Run again").click()
    data = dashboard.get_by_label("Data as JSON", exact=True)
    await expect(data).to_have_value(f'{{\n  "n": {BEYOND}\n}}')
    await data.fill(f'{{"n": {BEYOND}, "edited": true}}')
    await dashboard.get_by_role("button", name="Enqueue").click()
    await expect(dashboard.locator(".head .status")).to_have_text("pending")
    again = await queue.get(await dashboard.locator(".head h1").inner_text())
    assert again is not None
    assert again.id != job_id
    assert (again.data, again.metadata) == ({"n": BEYOND, "edited": True}, {"customer": "4711"})
    assert again.priority == "low"
    await open_job(dashboard, job_id)
    await dashboard.get_by_role("button", name="Delete").click()
    await dashboard.get_by_role("button", name="Keep it as it is").click()
    await dashboard.get_by_role("button", name="Delete").click()
    await dashboard.get_by_role("button", name="Delete it").click()
    await expect(dashboard.get_by_role("heading", level=1)).to_have_text("Jobs")
    assert await queue.get(job_id) is None


async def test_a_payload_of_a_megabyte_is_shown_in_part_and_copied_whole(
    visit: Visit, running: Service, queue: JobQueue
):
    job_id = await queue.enqueue("large", {"rows": list(range(150_000))})
    async with visit(running.url) as (context, _):
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = await context.new_page()
        await open_job(page, job_id)
        data = page.get_by_label("data", exact=True)
        await expect(data).to_contain_text('"rows": [')
        assert await page.evaluate("document.querySelectorAll('*').length") < 10_000
        await page.get_by_role("button", name="Copy data").click()
        await expect(page.get_by_text("Copied", exact=True)).to_be_visible()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert json.loads(copied) == {"rows": list(range(150_000))}
        await page.get_by_role("button", name=re.compile(r"Show all 1,\d+ kB")).click()
        await expect(data).to_contain_text("149999")
        assert await page.evaluate("document.querySelectorAll('*').length") < 10_000


async def test_an_error_of_many_words_leaves_room_for_the_rest(dashboard: Page, queue: JobQueue):
    words = "the words repeat " * 500
    job_id, lease = await claimed(queue, "wordy", max_attempts=1)
    await queue.fail(job_id, words, lease_token=lease, type="E" * 200)
    await open_job(dashboard, job_id)
    box = await dashboard.locator(".bar").bounding_box()
    assert box["height"] < 150
    box = await dashboard.locator("details.error summary").bounding_box()
    assert box["height"] < 200
    await expect(dashboard.get_by_label("the message", exact=True)).to_have_text(words.strip())


async def test_json_is_taken_apart_without_a_change(dashboard: Page):
    await dashboard.goto("")
    cases = {
        "members": [
            ("{}", {}),
            ('{"a":1,"b":{"c":[1,{"d":"}"}]},"e":""}', {"a": "1", "b": '{"c":[1,{"d":"}"}]}', "e": '""'}),
            ('{"n":9007199254740993,"m":1.0,"e":1E400}', {"n": "9007199254740993", "m": "1.0", "e": "1E400"}),
            (r'{"a\"b{":"\\","\u0041":null}', {'a"b{': r'"\\"', "A": "null"}),
            (' { "a" : [ 1 , 2 ] , "b" : true } ', {"a": "[ 1 , 2 ]", "b": "true"}),
            ('{"__proto__":{"x":1}}', {"__proto__": '{"x":1}'}),
        ],
        "items": [
            ("[]", []),
            ('[9007199254740993,"],[",[1,[2]],{"a":[]},-1.5e-7,null]',
             ["9007199254740993", '"],["', "[1,[2]]", '{"a":[]}', "-1.5e-7", "null"]),
        ],
        "indented": [
            ("{}", "{}"),
            ("[]", "[]"),
            ("9007199254740993", "9007199254740993"),
            ('{"a":[1,{"b":[]}],"c":{},"d":"a,b:{\\"}"}',
             '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ],\n  "c": {},\n  "d": "a,b:{\\"}"\n}'),
        ],
    }  # fmt: skip
    for name, pairs in cases.items():
        for text, wanted in pairs:
            found = await dashboard.evaluate(
                """async ([name, text]) => {
                  const json = await import(new URL("ui/dashboard/json.js", location.href).href);
                  return JSON.stringify(json[name](text));
                }""",
                [name, text],
            )
            assert (text, json.loads(found)) == (text, wanted)
