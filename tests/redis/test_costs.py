"""What a job costs Redis: commands inside of scripts and outside, calls of scripts, bytes while it waits."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from jdobb_async_queue import NewJob, Worker
from jdobb_async_queue.worker import heartbeat, maintenance
from tests.support.jobs import TYPE

DATA = {"path": "/data/in/file.pdf", "options": {"pages": [1, 2, 3], "dpi": 300}, "note": "x" * 19}
NOT_OURS = {"client|setinfo", "config|resetstat", "hello", "info", "select"}
"""What connecting and counting take."""


def ran(server) -> Counter[str]:
    """Return how often each command ran since the last reset, inside and outside of scripts."""
    prefix = "cmdstat_"
    return Counter(
        {
            name.removeprefix(prefix): int(figures["calls"])
            for name, figures in server.command("INFO", "commandstats").items()
            if name.removeprefix(prefix) not in NOT_OURS
        }
    )


def new(jobs: int) -> list[NewJob]:
    return [NewJob(job_type=TYPE, data=DATA) for _ in range(jobs)]


@pytest.fixture
async def queue(server, open_queue):
    """Return a queue that has loaded its scripts and knows the job type."""
    queue = open_queue(server.url, namespace="default")  # as long as most, for it is in each key
    await queue.enqueue(TYPE, DATA)
    server.command("CONFIG", "RESETSTAT")
    return queue


async def test_an_enqueue_is_one_script_of_at_most_13_commands(queue, server):
    await queue.enqueue(TYPE, DATA)
    commands = ran(server)
    assert commands.pop("evalsha") == 1
    assert commands.total() <= 13


async def test_a_further_job_of_a_call_is_no_command_more(queue, server):
    await queue.enqueue_many(new(1))
    one = ran(server)
    server.command("CONFIG", "RESETSTAT")
    await queue.enqueue_many(new(101))
    many = ran(server)
    assert one["evalsha"] == many["evalsha"] == 1
    assert many.total() == one.total()


async def test_enqueues_of_50_callers_leave_together_in_one_script(queue, server):
    await asyncio.gather(*(queue.enqueue(TYPE, DATA) for _ in range(50)))
    assert ran(server)["evalsha"] == 1


async def test_a_job_is_claimed_and_settled_by_at_most_13_commands(queue, server, monkeypatch):
    for loop, name in (
        (maintenance, "_SWEEP_EVERY"),
        (maintenance, "_PRUNE_EVERY"),
        (heartbeat, "_LOOK_EVERY"),
    ):
        monkeypatch.setattr(loop, name, 3600.0)
    worker = Worker(queue, max_concurrent=50)
    done = []

    @worker.handler(TYPE)
    async def note(ctx):
        done.append(ctx.id)

    await queue.enqueue_many(new(499))
    server.command("CONFIG", "RESETSTAT")
    await worker.run(burst=True)

    assert len(done) == 500
    assert ran(server).total() <= 13 * 500


async def test_a_pending_job_of_95_bytes_takes_at_most_700_bytes(queue, server):
    before = memory(server)
    await queue.enqueue_many(new(1000))
    assert memory(server) - before <= 700 * 1000


def memory(server) -> int:
    """Return the bytes of all keys with all that they hold: the same in each run, as used_memory is not."""
    return server.command(
        "EVAL",
        """
        local bytes = 0
        for _, key in ipairs(redis.call('KEYS', '*')) do
            bytes = bytes + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
        end
        return bytes
        """,
        0,
    )
