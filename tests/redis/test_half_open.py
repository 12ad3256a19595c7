"""Connections whose other end has gone without a word are noticed and replaced, each by its own watchdog."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest

from jdobb_async_queue import Broadcaster, Worker
from jdobb_async_queue.backends.redis import hub, pool, waker
from tests.support.jobs import TYPE, claim_job, get_job, make_job, start_job
from tests.support.waiting import WITHIN, eventually


@pytest.fixture(autouse=True)
def watchful(monkeypatch):
    """Let the watchdogs look more often."""
    monkeypatch.setattr(pool, "TIMEOUT", 0.4)
    monkeypatch.setattr(hub, "PING_EVERY", 0.2)
    monkeypatch.setattr(hub, "ANSWER_WITHIN", 0.2)
    monkeypatch.setattr(waker, "BLOCK", 0.4)
    monkeypatch.setattr(waker, "GRACE", 0.4)


async def replaced(proxy):
    """Strand all connections, and return when one has been replaced."""
    before = proxy.accepted
    proxy.strand()

    async def is_new():
        return proxy.accepted > before

    await eventually(is_new)


async def test_the_system_looks_after_silent_connections(queue):
    await queue.open()
    [link] = queue.backend._connection._calls._idle
    opened = link._writer.get_extra_info("socket")

    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    first_probe = getattr(socket, "TCP_KEEPIDLE", None)  # where the system lets a program say it
    assert first_probe is None or opened.getsockopt(socket.IPPROTO_TCP, first_probe) == 10


async def test_a_command_is_sent_again_over_a_new_connection(queue, proxy):
    await make_job(queue)
    proxy.strand()

    job = await claim_job(queue)

    assert job.attempt == 1
    proxy.strand()
    assert await queue.complete(job.id, lease_token=job.lease_token)
    assert await queue.counts() == {TYPE: {"complete": 1}}


async def test_subscriptions_are_made_again(queue, direct, proxy):
    job = await make_job(direct)
    await queue.open()
    with queue.backend.watch([f"job:{job.id}"]) as bell:
        assert await bell.wait(WITHIN)  # subscribed
        for progress in (0.2, 0.4):
            bell.clear()
            await replaced(proxy)
            assert await bell.wait(WITHIN)  # what was missed is looked for

            async def is_subscribed():
                return bool(queue.backend._hub._subscribed)

            await eventually(is_subscribed)
            assert await direct.update(job.id, progress)

            async def is_seen(progress=progress):
                bell.clear()
                return (await get_job(queue, job.id)).progress == progress or await bell.wait(1)

            await eventually(is_seen)


async def test_subscriptions_hear_after_they_were_made_again(queue, direct, proxy):
    job = await make_job(direct)
    await queue.open()
    with queue.backend.watch([f"job:{job.id}"]) as bell:
        assert await bell.wait(WITHIN)
        await replaced(proxy)

        async def is_heard():
            bell.clear()
            await direct.update(job.id, message=str(proxy.accepted))
            return await bell.wait(0.1)

        await eventually(is_heard)


@pytest.fixture
def trusting(watchful, monkeypatch):
    """Let an answer take as long as it does: what is silent for a while is not gone."""
    monkeypatch.setattr(pool, "TIMEOUT", 600.0)
    monkeypatch.setattr(hub, "ANSWER_WITHIN", 600.0)


async def some_pings(direct):
    """Return when the server was asked for a few signs of life."""

    async def count():
        found = await direct.backend._connection.command("INFO", "commandstats")
        return int((re.search(rb"cmdstat_ping:calls=(\d+)", found) or [0, 0])[1])

    await direct.open()
    before = await count()

    async def are_more():
        return await count() >= before + 3

    await eventually(are_more)


async def test_a_subscription_in_silence_stays(queue, direct, proxy, trusting):
    job = await make_job(queue)
    with queue.backend.watch([f"job:{job.id}"]) as bell:
        assert await bell.wait(WITHIN)
        await queue.counts()
        before = proxy.accepted

        await some_pings(direct)

        assert proxy.accepted == before


async def test_a_hub_that_follows_nothing_stays(queue, direct, proxy, trusting):
    job = await make_job(queue)
    with queue.backend.watch([f"job:{job.id}"]) as bell:
        assert await bell.wait(WITHIN)
    before = proxy.accepted

    async def is_idle():
        return not queue.backend._hub._subscribed

    await eventually(is_idle)
    await some_pings(direct)

    assert proxy.accepted == before


async def test_the_blocking_connection_is_replaced(queue, direct, proxy):
    await queue.open()
    await direct.open()
    with queue.backend.watch([f"type:{TYPE}"]) as bell:

        async def is_heard():
            bell.clear()
            await direct.enqueue(TYPE)
            return await bell.wait(0.1)

        await eventually(is_heard)
        for _ in range(2):
            while await direct.claim([TYPE]):  # takes the marker too
                pass
            bell.clear()

            await replaced(proxy)

            assert await bell.wait(WITHIN)  # whoever waits looks again
            await eventually(is_heard)


async def test_a_waiting_claim_gets_its_job(queue, direct, proxy):
    await direct.open()
    claiming = asyncio.ensure_future(queue.claim([TYPE], wait=WITHIN))
    await replaced(proxy)  # connecting has begun
    await replaced(proxy)

    job_id = await direct.enqueue(TYPE)

    assert (await claiming).id == job_id


async def test_a_watcher_sees_the_end(queue, direct, proxy):
    job = await start_job(direct)
    updates = []

    async def watching():
        async for update in Broadcaster(queue).subscribe(job.id, after=0):
            updates.append(update)  # noqa: PERF401 - seen while it goes on

    watcher = asyncio.ensure_future(watching())

    async def has(count):
        return len(updates) >= count

    await eventually(lambda: has(1))
    await direct.update(job.id, 0.25)
    await eventually(lambda: has(2))
    proxy.strand()
    await direct.update(job.id, 0.5)
    await eventually(lambda: has(3))
    proxy.strand()
    await direct.complete(job.id, lease_token=job.lease_token)
    await watcher

    assert [update.progress for update in updates] == [0.0, 0.25, 0.5, 1.0]


async def test_a_worker_goes_on(queue, direct, proxy):
    done = []
    worker = Worker(queue, poll_interval=30)

    @worker.handler(TYPE)
    async def email(ctx):
        done.append(ctx.id)

    running = asyncio.ensure_future(worker.run())
    for _ in range(3):
        job_id = await direct.enqueue(TYPE)

        async def is_done(job_id=job_id):
            return (await get_job(direct, job_id)).status == "complete"

        await eventually(is_done)
        proxy.strand()
    await worker.stop()
    await running

    assert len(done) == len(set(done)) == 3
