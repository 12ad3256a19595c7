"""How many commands a worker sends: few under load, next to none when it has nothing to do."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import Worker
from jdobb_async_queue.backends.redis import hub, waker
from jdobb_async_queue.backends.redis.backend import RedisBackend
from jdobb_async_queue.worker import heartbeat, maintenance
from tests.support.jobs import TYPE

SENT = ("eval", "evalsha", "bzpopmin", "ping", "subscribe", "unsubscribe")
"""What this backend sends, other than from inside of a script."""
MINUTE = 3.0


def sent(server, *names: str) -> int:
    """Return how often these commands were sent since the last reset."""
    figures = server.command("INFO", "commandstats")
    return sum(int(figures.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in names)


@pytest.fixture
def queue(open_queue, server):
    return open_queue(server.url)


@pytest.mark.parametrize(("slots", "most"), [(1, 1.2), (10, 0.2), (50, 0.2)])
async def test_a_worker_settles_and_claims_in_the_same_call(queue, server, slots, most):
    jobs = 40 * slots if slots > 1 else 100
    worker = Worker(queue, max_concurrent=slots)
    done = []

    @worker.handler(TYPE)
    async def note(ctx):
        done.append(ctx.id)

    for _ in range(jobs):
        await queue.enqueue(TYPE)
    server.command("CONFIG", "RESETSTAT")
    await worker.run(burst=True)

    assert len(done) == jobs
    assert sent(server, "eval", "evalsha") <= most * jobs + 10


async def test_an_enqueue_alone_is_one_call(queue, server):
    await queue.enqueue(TYPE)
    server.command("CONFIG", "RESETSTAT")
    for _ in range(20):
        await queue.enqueue(TYPE)

    assert sent(server, *SENT) == 20


async def test_an_idle_worker_sends_next_to_nothing_and_logs_nothing(queue, server, monkeypatch, caplog):
    """At most one command in five seconds; a minute is scaled down to three seconds here."""
    scale = MINUTE / 60
    for holder, name in (
        (RedisBackend, "idle_interval"),
        (hub, "PING_EVERY"),
        (waker, "BLOCK"),
        (maintenance, "_PRUNE_EVERY"),
        (heartbeat, "_REGISTER_EVERY"),
    ):
        monkeypatch.setattr(holder, name, getattr(holder, name) * scale)
    worker = Worker(queue, poll_interval=scale)
    done = asyncio.Event()

    @worker.handler(TYPE)
    async def note(ctx):
        done.set()

    running = asyncio.ensure_future(worker.run())
    await queue.wait(await queue.enqueue(TYPE), timeout=10)
    done.clear()
    caplog.clear()
    server.command("CONFIG", "RESETSTAT")

    await asyncio.sleep(MINUTE)

    commands = sent(server, *SENT)
    assert 5 <= commands <= 12
    assert caplog.records == []
    await queue.enqueue(TYPE)
    await asyncio.wait_for(done.wait(), 10)
    await worker.stop()
    await running
