"""The page about the data model in Redis names every key that there is, and no other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio

from jdobb_async_queue import JobContext, JobQueue, NewJob, RetryPolicy, Worker
from jdobb_async_queue.backends.redis.keys import CHANNELS, KEYS, prefix_of
from jdobb_async_queue.backends.redis.scripts import _LAYERS
from jdobb_async_queue.models import Idempotency
from tests.docs.blocks import table
from tests.support.redis_invariants import keys_of
from tests.support.redis_server import database_url
from tests.support.waiting import WITHIN

PAGE = "docs/redis.md"


def escaped(text: str) -> str:
    return re.sub(r"([|<*])", r"\\\1", text)


def test_the_keys_are_those_of_the_code():
    expected = [[f"`{key.name}`", key.type, escaped(key.holds)] for key in KEYS]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in expected)
    assert table(PAGE, "Keys") == expected, f"the table should be\n\n{lines}"


def test_the_channels_are_those_of_the_code():
    assert table(PAGE, "Channels") == [[f"`{name}`", escaped(carries)] for name, carries in CHANNELS.items()]


def test_the_steps_move_jobs_between_keys_that_there_are():
    steps = table(PAGE, "How a job moves through them")
    named = {name for row in steps for name in re.findall(r"`(.+?)`", " ".join(row[1:]))}
    assert named - {"run_at"} <= {key.name for key in KEYS}
    assert {key.name for key in KEYS if "<id>" in key.name or key.name.startswith("x:")} <= named


def test_the_scripts_are_those_of_the_code():
    assert [row[0].strip("`") for row in table(PAGE, "Scripts")] == list(_LAYERS)


async def test_a_server_that_is_used_has_no_other_keys_and_those_have_their_types(tmp_path: Path):
    url = database_url(tmp_path)
    client = redis.asyncio.Redis.from_url(url, socket_timeout=WITHIN)
    async with JobQueue.from_url(url) as queue, using(queue):
        found = {name.decode(): (await client.type(name)).decode() async for name in client.scan_iter()}
    await client.aclose()

    prefix = prefix_of("default")
    assert all(name.startswith(prefix) for name in found)
    described = {name: keys_of(name.removeprefix(prefix)) for name in found}
    assert {name: [key.type for key in keys] for name, keys in described.items()} == {
        name: [kind] for name, kind in found.items()
    }
    missing = {key.name for key in KEYS} - {key.name for keys in described.values() for key in keys}
    assert missing <= {"never", "wake", "wake:<type>"}, "an idle worker takes some away"


@asynccontextmanager
async def using(queue: JobQueue) -> AsyncIterator[None]:
    """Make jobs that come to every kind of end, and whatever else leaves something behind."""
    worker = Worker(queue)

    @worker.handler("work", retry=RetryPolicy(max_attempts=2, base=0.0, jitter=0.0))
    async def work(ctx: JobContext) -> dict[str, int]:
        await ctx.update(0.5, "half")
        if ctx.attempt == 1:
            raise ValueError
        return {"attempt": ctx.attempt}

    once = Idempotency(scope="anybody", key="once", fingerprint="0")
    submitted = await queue.submit(NewJob(job_type="work"), idempotency=once)
    running = asyncio.create_task(worker.run())
    assert (await queue.wait(submitted.job.id, WITHIN)).status == "complete"
    await queue.enqueue("later", delay=3600, ttl=60, unique_key="one")
    await queue.cancel(await queue.enqueue("by-hand"))
    await queue.fail(await queue.enqueue("by-hand"), "boom")
    await queue.enqueue("by-hand")
    assert await queue.claim(["by-hand"])
    await queue.pause("later")
    [registered] = await queue.workers()
    await queue.signal_worker(registered.id, "quiet")
    yield
    await worker.stop()
    await running
