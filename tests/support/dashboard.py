"""The dashboard in a browser: pages that tell what went wrong on them, and a store to look at."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from tests.support.clock import ManualClock
from tests.support.processes import ROOT
from tests.support.restarts import Service
from tests.support.waiting import WITHIN, eventually

LONG = 2000 * WITHIN
"""Milliseconds that a browser may take for a step: it takes turns with the service, and with all else."""
BEYOND = 2**53 + 1
"""The least whole number that JavaScript rounds."""
ATTACK = "<img src=x onerror='window.attacked=1'><script>window.attacked=1</script>"
VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""What makes a page believe that its tab is hidden: a headless browser hides none."""


class Trouble:
    """What must not happen on a page: errors, warnings, requests to somebody else; and every request."""

    def __init__(self, origin: str) -> None:
        self.found: list[str] = []
        self.requests: list[str] = []
        self._origin = origin
        self._forgiven: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.found.append(f"{error}"))
        page.on("request", self._asked)

    def forgive(self, pattern: str) -> None:
        """Take out what the test itself has brought about, also what a slow browser has yet to tell."""
        self._forgiven.append(pattern)
        self.found = [text for text in self.found if not re.search(pattern, text)]

    def _said(self, message: ConsoleMessage) -> None:
        text = f"{message.type}: {message.text} {message.location}"
        is_forgiven = any(re.search(pattern, text) for pattern in self._forgiven)
        if message.type in {"error", "warning"} and not is_forgiven:
            self.found.append(text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url.removeprefix(self._origin))
        if not request.url.startswith((f"{self._origin}/", "blob:", "data:")):
            self.found.append(f"left {urlsplit(self._origin).netloc}: {request.url}")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Launch a headless Chromium."""
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        [sys.executable, ROOT / "scripts/setup_browser.py"], check=True, stdout=subprocess.PIPE
    )
    found = json.loads(done.stdout)
    libraries = {} if found["libraries"] is None else {"LD_LIBRARY_PATH": found["libraries"]}
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=found["executable"],
            args=["--no-sandbox", "--disable-gpu"],
            env={**os.environ, **libraries},
            timeout=LONG,
        )
        yield launched
        await launched.close()


@contextlib.asynccontextmanager
async def visitor(
    browser: Browser, origin: str, **options: Any
) -> AsyncIterator[tuple[BrowserContext, Trouble]]:
    """Open a browser context; what is wrong on any of its pages fails the test at its end."""
    trouble = Trouble(origin)
    options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options}
    context = await browser.new_context(base_url=f"{origin}/", **options)
    context.set_default_timeout(LONG)
    context.on("page", trouble.watch)
    await context.add_init_script(VIOLATIONS)
    try:
        yield context, trouble
    finally:
        await context.close()
    assert trouble.found == [], trouble.found


async def enter_silent_worker(service: Service, name: str) -> None:
    """Enter a worker that was heard of for the last time ten minutes ago."""
    clock = ManualClock(datetime.now(timezone.utc) - timedelta(minutes=10))
    async with JobQueue(SQLiteBackend(service.backend_url, clock=clock)) as queue:
        await queue.register_worker(name, host="gone", job_types=["mail"])


async def lose_a_lease(service: Service) -> None:
    """Let a job have been claimed ten minutes ago by a worker that then died; the service notices."""
    clock = ManualClock(datetime.now(timezone.utc) - timedelta(minutes=10))
    async with JobQueue(SQLiteBackend(service.backend_url, clock=clock)) as queue:
        job_id, _ = await claimed(queue, "lost", lease=30)

    async with JobQueue.from_url(service.backend_url) as queue:

        async def is_noticed() -> bool:
            job = await queue.get(job_id)
            return job is not None and job.losses == 1

        await eventually(is_noticed)


async def claimed(
    queue: JobQueue, job_type: str, data: dict[str, Any] | None = None, *, lease: float = 3600, **fields: Any
) -> tuple[str, str]:
    """Enqueue and claim a job; return its id and its lease token."""
    job_id = await queue.enqueue(job_type, data or {}, **fields)
    job = await queue.claim([job_type], worker_id="by-hand", lease=lease)
    assert job is not None
    assert job.id == job_id, "another one of the type was ready"
    assert job.lease_token is not None
    return job.id, job.lease_token


async def fill(service: Service) -> dict[str, str]:
    """Put something of everything into the store; return ids by what they are."""
    async with JobQueue.from_url(service.backend_url) as queue:
        ids = {}
        ids["pending"] = await queue.enqueue("mail", {"to": "a@example.org"}, metadata={"customer": "4711"})
        ids["delayed"] = await queue.enqueue("mail", {}, delay=3600)
        ids["running"], lease = await claimed(queue, "render", {"frames": 250}, max_attempts=3)
        await queue.update(ids["running"], 0.42, "frame 105 of 250", lease_token=lease)
        ids["complete"] = await queue.enqueue("greet", {"name": "Ada", "times": BEYOND})
        ids["failed"] = await queue.enqueue("burst", {"why": "the disk is full"})
        ids["cancelled"] = await queue.enqueue("mail", {}, priority="low")
        await queue.cancel(ids["cancelled"], "no longer wanted")
        ids["attack"], lease = await claimed(
            queue, "attack", {ATTACK: ATTACK}, metadata={"note": ATTACK, ATTACK[:20]: "x"}
        )
        await queue.update(ids["attack"], 0.1, ATTACK, lease_token=lease)
        await queue.fail(
            ids["attack"],
            ATTACK,
            lease_token=lease,
            type="<b>AttackError",
            traceback=f"Traceback\n  {ATTACK}",
            retry=False,
        )
        await queue.pause("invoice", reason=f"month end {ATTACK}")
        await queue.enqueue("invoice", {"month": "2030-01"})
        await queue.register_worker(
            "renderer-1", host="studio", pid=7, slots=2, job_types=["render"], jobs=[ids["running"]]
        )
        await queue.register_worker("attacker-1", host=ATTACK, job_types=["attack"])
        for name in ("complete", "failed"):
            await queue.wait(ids[name], timeout=WITHIN)
    await enter_silent_worker(service, "mailer-1")
    await lose_a_lease(service)
    return ids
