"""The pictures in `docs/images`, made anew from a store that looks like a working day."""

from __future__ import annotations

import asyncio
import random
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, expect

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from tests.support.clock import ManualClock
from tests.support.dashboard import chromium, visitor
from tests.support.processes import ROOT
from tests.support.restarts import Service

IMAGES = ROOT / "docs/images"
SIZE = {"width": 1200, "height": 800}
MINUTES = 15
AGO = 45
"""Seconds since the first of the jobs that run was started."""
CALM = 0.2
"""How often a pause follows a job."""
TRACEBACK = """Traceback (most recent call last):
  File "/app/shop/mails.py", line 41, in send
    await server.send(message)
  File "/app/shop/smtp.py", line 18, in send
    raise ConnectionRefusedError(host)
ConnectionRefusedError: smtp.example.org:25"""
MAIL = {"to": "ida@example.org", "subject": "Your order 4711", "attachments": ["invoice-4711.pdf"]}


async def take_all(images: Path) -> None:
    """Fill a store, serve it and take the pictures into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), "examples.handlers:router")
        failed = await fill(service.backend_url)
        service.start()
        try:
            async with chromium() as browser:
                for theme in ("light", "dark"):
                    await take(browser, service.url, theme, failed, images)
        finally:
            service.stop()


async def take(
    browser: Browser, origin: str, theme: Literal["light", "dark"], failed: str, images: Path
) -> None:
    screens = {"overview": "#/", "jobs": "#/jobs", "job": f"#/jobs/{failed}"}
    async with visitor(browser, origin, color_scheme=theme, viewport=SIZE) as (context, _):
        page = await context.new_page()
        for name, path in screens.items():
            await page.goto(path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            await expect(page.locator(".loading")).to_have_count(0)
            await page.screenshot(path=images / f"dashboard-{name}-{theme}.png")


async def fill(url: str) -> str:
    """Let the last minutes have happened; return the id of a job that failed."""
    chance = random.Random(4)  # noqa: S311 - the same pictures each time
    now = datetime.now(timezone.utc)
    running = await begin(url, now)
    clock = ManualClock(now - timedelta(minutes=MINUTES))
    async with JobQueue(SQLiteBackend(url, clock=clock)) as queue:
        while clock.time < now - timedelta(seconds=5):
            await live(queue, clock, chance)
            if clock.time < now - timedelta(seconds=30) and chance.random() < CALM:
                clock.advance(chance.uniform(5, 20))
        failed = await fail(queue, clock)
        clock.advance((now - clock.time).total_seconds())
        for name, host, job_types, jobs in (
            ("studio-1", "app-1", ["video.render"], running),
            ("mailer-1", "app-2", ["mail.send", "invoice.export"], []),
        ):
            await queue.register_worker(name, host=host, pid=7, slots=4, job_types=job_types, jobs=jobs)
        return failed


async def begin(url: str, now: datetime) -> list[str]:
    """Let jobs have come that still wait or run; return the ids of those that run."""
    clock = ManualClock(now - timedelta(seconds=AGO))
    running = []
    async with JobQueue(SQLiteBackend(url, clock=clock)) as queue:
        await queue.pause("invoice.export", reason="month end", until=now + timedelta(hours=2))
        for number in range(12):
            await queue.enqueue("invoice.export", {"order": 4700 + number})
        await queue.enqueue("mail.send", MAIL, delay=900)
        for progress, message in (
            (0.91, "frame 228 of 250"),
            (0.64, "frame 160 of 250"),
            (0.18, "frame 45 of 250"),
        ):
            await queue.enqueue("video.render", {"frames": 250})
            job = await queue.claim(["video.render"], worker_id="studio-1", lease=3600)
            assert job is not None
            await queue.update(job.id, progress, message, lease_token=job.lease_token)
            running.append(job.id)
            clock.advance(AGO / 4)
    return running


async def live(queue: JobQueue, clock: ManualClock, chance: random.Random) -> None:
    """Let one job come and end."""
    job_type = chance.choice(["mail.send", "mail.send", "mail.send", "video.render"])
    await queue.enqueue(job_type, MAIL if job_type == "mail.send" else {"frames": 250}, max_attempts=1)
    clock.advance(chance.uniform(0.01, 0.4))
    job = await queue.claim([job_type], worker_id="mailer-1")
    assert job is not None
    clock.advance(chance.uniform(0.2, 0.8) if job_type == "mail.send" else chance.uniform(1, 3))
    if job_type == "mail.send" and chance.random() < 0.06:
        await queue.fail(
            job.id, "mailbox unavailable", lease_token=job.lease_token, type="SMTPResponseError", retry=False
        )
    else:
        await queue.complete(job.id, {"sent": True}, lease_token=job.lease_token)


async def fail(queue: JobQueue, clock: ManualClock) -> str:
    """Let a job fail twice; return its id."""
    job_id = await queue.enqueue("mail.send", MAIL, max_attempts=2, metadata={"customer": "4711"})
    for _ in range(2):
        job = await queue.claim(["mail.send"], worker_id="mailer-1")
        assert job is not None
        await queue.update(job.id, 0.4, "talking to smtp.example.org", lease_token=job.lease_token)
        clock.advance(0.3)
        await queue.fail(
            job.id,
            "smtp.example.org:25",
            lease_token=job.lease_token,
            type="ConnectionRefusedError",
            traceback=TRACEBACK,
            retry_in=0,
        )
    return job_id


if __name__ == "__main__":
    asyncio.run(take_all(IMAGES))
