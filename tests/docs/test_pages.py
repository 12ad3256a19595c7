"""The Python in the pages of `docs/` runs as it stands, and prints what the pages say."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from jdobb_async_queue import JobQueue
from jdobb_async_queue.testing import MemoryBackend, run_job
from tests.docs.blocks import blocks_of, run_block
from tests.docs.programs import interrupt, output_of, running
from tests.support.jobs import get_job
from tests.support.redis_server import database_url
from tests.support.waiting import WITHIN


@pytest.fixture(autouse=True)
def _in_a_folder_with_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("file").write_bytes(b"content")
    monkeypatch.chdir(tmp_path)


async def test_the_first_programs_print_what_the_page_says():
    blocks = blocks_of("docs/getting-started.md", "python", "text")
    one_file, its_output, worker, producer, its_answer = blocks
    assert await output_of(one_file.text) == its_output.text
    async with running(worker.text) as working:
        assert await output_of(producer.text) == its_answer.text
        assert await interrupt(working) == "KeyboardInterrupt"


async def test_a_backup_made_while_the_queue_is_in_use_can_be_opened():
    queue, weaker, line, *_ = blocks_of("docs/backends.md", "python", "sh")
    names = await run_block(queue.text, {})
    await run_block(weaker.text, names)
    async with JobQueue.from_url("sqlite:///jobs.db") as in_use:
        assert await in_use.get(names["job_id"])
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        copying = await asyncio.create_subprocess_exec("sh", "-c", line.text, env={"PATH": path})
        assert await asyncio.wait_for(copying.wait(), timeout=WITHIN) == 0
    async with JobQueue.from_url("sqlite:///backup.db") as copy:
        job = await copy.get(names["job_id"])
        assert job is not None
        assert job.status == "pending"


async def test_the_queue_on_redis_of_the_page_about_backends_takes_a_job():
    *_, block = blocks_of("docs/backends.md", "python")
    url = database_url(Path.cwd())
    text = block.text.replace("redis://localhost:6379/0", url)
    assert text != block.text
    names = await run_block(text, {})
    async with JobQueue.from_url(url, namespace="app") as queue:
        assert (await get_job(queue, names["job_id"])).job_type == "report"


@pytest.fixture
async def handlers() -> dict[str, Any]:
    """Return the names that the page about handlers defines, once all its blocks have run."""
    names: dict[str, Any] = {}
    for block in blocks_of("docs/handlers.md", "python"):
        await run_block(block.text, names)
    await names["queue"].close()
    return names


@pytest.mark.parametrize(
    ("job_type", "data", "results"),
    [
        ("greet", {"name": "Ida"}, {"greeting": "Hello, Ida!"}),
        ("resize", {"path": "a.png"}, {"resized": "a.png", "width": 800}),
        ("charge", {"amount": 1, "bank": "open"}, None),
        ("checksum", {"path": "file"}, {"sha256": hashlib.sha256(b"content").hexdigest()}),
        ("count", {}, {"seen": 1}),
    ],
)
async def test_a_handler_of_the_page_does_its_work(handlers: dict[str, Any], job_type: str, data, results):
    async with JobQueue() as queue:
        job_id = await queue.enqueue(job_type, data)
        job = await run_job(queue, job_id, handlers["router"], handlers["counting"])
        assert (job.status, job.results) == ("complete", results)


@pytest.mark.parametrize(
    ("data", "status", "failures", "delay"),
    [
        ({"amount": 0}, "failed", 1, None),
        ({}, "failed", 1, None),
        ({"amount": 1, "bank": "closed"}, "pending", 0, 3600),
        ({"amount": 1, "bank": "busy"}, "pending", 1, 60),
        ({"amount": "1", "bank": "open"}, "pending", 1, 2),
    ],
)
async def test_a_handler_of_the_page_chooses_its_outcome(
    handlers: dict[str, Any], data, status: str, failures: int, delay: float | None
):
    clock = handlers["ManualClock"]()
    async with JobQueue(MemoryBackend(clock=clock)) as queue:
        job = await run_job(queue, await queue.enqueue("charge", data), handlers["router"])
        assert (job.status, job.failures) == (status, failures)
        if delay is not None:
            waits = job.run_at.timestamp() - clock.now() / 1000
            assert waits == pytest.approx(delay, rel=0.2)
