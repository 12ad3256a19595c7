"""A server that has lost what it held while workers run."""

from __future__ import annotations

import asyncio

from jdobb_async_queue import RetryPolicy, Worker
from tests.support.jobs import TYPE
from tests.support.waiting import WITHIN


async def test_a_worker_publishes_its_handlers_again_before_it_runs_what_comes_to_an_emptied_server(
    open_queue, server
):
    queue = open_queue(server.url)
    worker = Worker(queue)

    @worker.handler(TYPE, retry=RetryPolicy(max_attempts=3, base=0.01), timeout=30)
    async def email(ctx):
        msg = "no"
        raise ValueError(msg)

    running = asyncio.ensure_future(worker.run())
    before = await queue.wait(await queue.enqueue(TYPE), WITHIN)
    server.command("FLUSHALL")

    after = await queue.wait(await queue.enqueue(TYPE), WITHIN)

    assert (before.failures, after.failures) == (3, 3)
    assert after.timeout == 30
    await worker.stop()
    await running


async def test_a_killed_server_without_a_file_comes_back_empty_and_takes_jobs(open_queue, server):
    server.kill()
    server.options = ("--appendonly", "no")
    server.start()
    queue = open_queue(server.url)
    gone = await queue.enqueue(TYPE)
    server.kill()
    await asyncio.to_thread(server.start)

    assert await queue.get(gone) is None
    assert await queue.get(await queue.enqueue(TYPE)) is not None
