"""How many commands a worker sends: few under load, next to none when it has nothing to do."""

from __future__ import annotations

import asyncio
import math

import pytest

from jdobb_async_queue import Worker
from jdobb_async_queue.backends.redis import hub, waker
from jdobb_async_queue.backends.redis.backend import RedisBackend
from jdobb_async_queue.worker import heartbeat, maintenance
from jdobb_async_queue.worker.pulse import Pulse
from tests.support.jobs import TYPE
from tests.support.waiting import WITHIN, eventually

SENT = ("eval", "evalsha", "bzpopmin", "ping", "subscribe", "unsubscribe")
"""What this backend sends, other than from inside of a script."""


def sent(server, *names: str) -> int:
    """Return how often these commands were sent since the last reset."""
    figures = server.command("INFO", "commandstats")
    return sum(int(figures.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in names)


@pytest.fixture
def queue(open_queue, server):
    return open_queue(server.url)


@pytest.mark.parametrize(("slots", "most"), [(1, 1.2), (10, 0.5), (50, 0.2)])
async def test_a_worker_settles_and_claims_in_the_same_call(queue, server, slots, most, monkeypatch):
    for loop, name in (
        (maintenance, "_SWEEP_EVERY"),
        (maintenance, "_PRUNE_EVERY"),
        (heartbeat, "_LOOK_EVERY"),
        (waker, "_PUT_OFF"),  # claims may take long on a slow machine
    ):
        monkeypatch.setattr(loop, name, 3600.0)
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
    assert sent(server, "bzpopmin") <= 5  # it waits only when there is nothing


async def test_an_enqueue_alone_is_one_call(queue, server):
    await queue.enqueue(TYPE)
    server.command("CONFIG", "RESETSTAT")
    for _ in range(20):
        await queue.enqueue(TYPE)

    assert sent(server, *SENT) == 20


def test_what_an_idle_worker_does_in_a_minute_is_at_most_one_command_in_five_seconds():
    beats = math.ceil(60 / RedisBackend.idle_interval)
    assert beats + math.ceil(60 / waker.BLOCK) + math.ceil(60 / hub.PING_EVERY) <= 12


async def test_an_idle_worker_sends_one_command_each_time_it_looks_and_logs_nothing(
    queue, server, monkeypatch, caplog
):
    beats = []
    beat = Pulse._beat
    monkeypatch.setattr(Pulse, "_beat", lambda pulse: (beats.append(pulse), beat(pulse)))
    for holder, name in (
        (RedisBackend, "idle_interval"),
        (maintenance, "_PRUNE_EVERY"),
        (heartbeat, "_REGISTER_EVERY"),
    ):
        monkeypatch.setattr(holder, name, getattr(holder, name) / 20)
    worker = Worker(queue, poll_interval=0.05)
    done = asyncio.Event()

    @worker.handler(TYPE)
    async def note(ctx):
        done.set()

    running = asyncio.ensure_future(worker.run())
    await queue.wait(await queue.enqueue(TYPE), WITHIN)
    await looked_once(beats)
    done.clear()
    caplog.clear()
    beats.clear()
    server.command("CONFIG", "RESETSTAT")
    await eventually(lambda: len(beats) >= 10)

    # Up to three more: the first beat's own call, a subscription that ends, one call that missed its beat.
    assert len(beats) - 1 <= sent(server, *SENT) <= len(beats) + 3
    assert caplog.records == []
    await queue.enqueue(TYPE)
    await asyncio.wait_for(done.wait(), WITHIN)
    await worker.stop()
    await running


async def looked_once(beats):
    """Return right after the worker has looked for jobs and found none."""
    before = len(beats)

    await eventually(lambda: len(beats) > before)
