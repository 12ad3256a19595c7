"""Watching over Redis: one subscription connection per process, which loses nothing and keeps nothing."""

from __future__ import annotations

import asyncio
import gc

import pytest

from jdobb_async_queue import Broadcaster, JobUpdate, broadcaster
from jdobb_async_queue.backends.base import UPDATES_KEPT
from jdobb_async_queue.backends.redis import hub, pool
from jdobb_async_queue.queue import reader
from jdobb_async_queue.records import UpdateRecord
from jdobb_async_queue.transitions import Transition
from tests.support.jobs import make_job, start_job
from tests.support.waiting import WITHIN, eventually


@pytest.fixture
def bells_only(monkeypatch):
    """Let nobody look again by himself."""
    monkeypatch.setattr(broadcaster, "_LOOK_AGAIN", 3600)
    monkeypatch.setattr(reader, "_LOOK_AGAIN", 3600)


@pytest.fixture
def subscriptions(shared, namespace):
    """Return what answers with how many channels each subscribed connection follows."""

    async def subscriptions():
        found = []
        for command in ("subscribe", "unsubscribe", "ping"):
            found += await asyncio.to_thread(shared.clients, namespace, command)
        return [int(client["sub"]) for client in found if "P" in client["flags"]]

    return subscriptions


def following(queue, job):
    """Follow a job from its start; return the updates so far, and the task that ends with them."""
    updates = []

    async def follow():
        async for update in Broadcaster(queue).subscribe(job.id, after=0):
            updates.append(update)  # noqa: PERF401 - seen while it goes on

    return updates, asyncio.ensure_future(follow())


async def heard(bell):
    """Return once a bell has rung, and clear it."""
    assert await bell.wait(WITHIN)
    bell.clear()


async def is_seen(updates, progress):
    """Return once the latest update tells this progress."""

    async def is_there():
        return bool(updates) and updates[-1].progress == progress

    await eventually(is_there)


async def is_subscribed(queue):
    """Return once a queue follows something."""

    async def is_there():
        return bool(queue.backend._hub._subscribed)

    await eventually(is_there)


# -- one connection ----------------------------------------------------------------------------------------


async def test_all_topics_of_a_process_share_one_connection(named, subscriptions):
    await named.open()
    topics = [f"job:{number}" for number in range(1200)]
    with named.backend.watch(["cancelled"]) as first, named.backend.watch(topics) as all_of_them:
        await heard(first)
        await heard(all_of_them)

        async def are_all():
            return await subscriptions() == [1201]

        await eventually(are_all)


async def test_watchers_of_one_job_share_its_subscription(named, direct, subscriptions, monkeypatch):
    monkeypatch.setattr(hub, "_LINGER", 3600)
    job = await start_job(direct)
    followed = [following(named, job) for _ in range(20)]

    async def is_one():
        return await subscriptions() == [1]

    await eventually(is_one)
    assert await direct.complete(job.id, lease_token=job.lease_token)
    for updates, follower in followed:
        await follower
        assert [update.status for update in updates] == ["processing", "complete"]
    assert await subscriptions() == [1]


# -- subscriptions end, but not at once --------------------------------------------------------------------


async def test_what_nobody_watches_any_more_is_unsubscribed_after_a_while(named, subscriptions, monkeypatch):
    monkeypatch.setattr(hub, "_LINGER", 0.05)
    await named.open()
    with named.backend.watch(["job:stays"]) as stays:
        await heard(stays)
        with named.backend.watch(["job:goes"]) as goes:
            await heard(goes)

            async def are_two():
                return await subscriptions() == [2]

            await eventually(are_two)

        async def is_one():
            return await subscriptions() == [1]

        await eventually(is_one)
        with named.backend.watch(["job:goes"]) as again:
            await heard(again)  # it is subscribed anew


async def test_what_is_watched_again_soon_stays_subscribed(named, direct, subscriptions, monkeypatch):
    monkeypatch.setattr(hub, "_LINGER", 0.05)
    await named.open()
    job = await make_job(direct)
    with named.backend.watch([f"job:{job.id}", "job:goes"]) as bell:
        await heard(bell)

        async def are_two():
            return await subscriptions() == [2]

        await eventually(are_two)
    with named.backend.watch([f"job:{job.id}"]) as again:

        async def is_one():
            return await subscriptions() == [1]

        await eventually(is_one)
        assert not again.rung, "a new subscription would have rung it"
        assert await direct.cancel(job.id)
        await heard(again)


# -- the connection breaks ---------------------------------------------------------------------------------


async def test_everybody_is_rung_when_the_connection_breaks_and_when_it_is_back(queue, proxy):
    await queue.open()
    with (
        queue.backend.watch(["job:a"]) as first,
        queue.backend.watch(["job:b"]) as second,
        queue.backend.watch(["cancelled"]) as third,
    ):
        for bell in (first, second, third):
            await heard(bell)

        proxy.fall_silent()
        proxy.cut()

        for bell in (first, second, third):
            await heard(bell)
        proxy.heal()
        for bell in (first, second, third):
            await heard(bell)


async def test_updates_that_are_published_while_the_connection_is_broken_are_seen(
    queue, direct, proxy, bells_only
):
    job = await start_job(direct)
    updates, follower = following(queue, job)
    waiting = asyncio.ensure_future(queue.wait(job.id, 60))
    await is_seen(updates, 0.0)
    await is_subscribed(queue)
    for progress in (0.25, 0.5, 0.75):
        proxy.fall_silent()
        proxy.cut()
        assert await direct.update(job.id, progress)
        proxy.heal()
        await is_seen(updates, progress)
    proxy.fall_silent()
    proxy.cut()
    assert await direct.complete(job.id, lease_token=job.lease_token)
    proxy.heal()

    await follower
    assert (await waiting).status == "complete"
    assert [update.progress for update in updates] == [0.0, 0.25, 0.5, 0.75, 1.0]


async def test_a_connection_without_another_end_is_noticed(queue, direct, proxy, bells_only, monkeypatch):
    monkeypatch.setattr(hub, "PING_EVERY", 0.05)
    monkeypatch.setattr(hub, "ANSWER_WITHIN", 0.2)
    monkeypatch.setattr(pool, "TIMEOUT", 0.5)
    job = await start_job(direct)
    updates, follower = following(queue, job)
    await is_seen(updates, 0.0)
    for progress in (0.25, 0.5):
        assert await direct.update(job.id, progress)
        await is_seen(updates, progress)
        proxy.strand()
    assert await direct.complete(job.id, lease_token=job.lease_token)

    await follower
    assert [update.progress for update in updates] == [0.0, 0.25, 0.5, 1.0]


# -- many updates ------------------------------------------------------------------------------------------


async def send_many(queue, job, count):
    """Publish so many updates of a running job."""
    await queue.open()
    for begin in range(0, count, 500):
        await queue.backend.apply(
            [Transition.send(job.id, None, f"{begin + number}", None) for number in range(500)]
        )


def in_memory():
    """Return how many updates and messages there are in memory."""
    gc.collect()
    count = 0
    for each in gc.get_objects():
        if isinstance(each, (UpdateRecord, JobUpdate)):
            count += 1
        elif type(each) is dict:
            count += each.keys() == {"type", "pattern", "channel", "data"}
    return count


async def test_a_bell_that_rang_for_many_updates_has_rung_once(queue, direct):
    job, other = await start_job(direct), await make_job(direct)
    await queue.open()
    with (
        queue.backend.watch([f"job:{job.id}"]) as bell,
        queue.backend.watch([f"job:{other.id}"]) as last,
    ):
        await heard(bell)
        await heard(last)
        before = in_memory()

        await send_many(direct, job, 5000)
        await direct.update(other.id, 0.5)
        await heard(last)  # what was published before has come too

        await heard(bell)
        await direct.update(other.id, 0.6)
        await heard(last)
        assert not bell.rung
        assert in_memory() - before <= 2


async def test_a_slow_watcher_sees_the_end_and_nothing_piles_up_for_it(queue, direct, bells_only):
    job, other = await start_job(direct), await make_job(direct)
    await queue.open()
    updates, goes_on = [], asyncio.Event()

    async def follow_slowly():
        async for update in Broadcaster(queue).subscribe(job.id, after=0):
            updates.append(update)
            await goes_on.wait()

    follower = asyncio.ensure_future(follow_slowly())
    with queue.backend.watch([f"job:{other.id}"]) as last:
        await heard(last)

        async def has_begun():
            return bool(updates)

        await eventually(has_begun)
        before = in_memory()

        await send_many(direct, job, 5000)
        await direct.update(other.id, 0.5)
        await heard(last)  # all the others have been published to this process

        assert len(updates) == 1
        assert in_memory() - before <= UPDATES_KEPT
    goes_on.set()
    assert await direct.complete(job.id, lease_token=job.lease_token)
    await follower

    seqs = [update.seq for update in updates]
    assert seqs == sorted(set(seqs))
    assert updates[1].gap, "more was trimmed than is kept"
    assert [update.is_terminal for update in updates] == [False] * (len(updates) - 1) + [True]


async def test_a_watcher_who_stops_now_and_then_sees_all_in_order_up_to_the_end(queue, direct, bells_only):
    job = await start_job(direct)
    updates, sent = [], 0

    async def follow_in_leaps():
        async for update in Broadcaster(queue).subscribe(job.id):
            updates.append(update)
            if len(updates) % 100 == 1:
                seen = sent

                async def is_more(seen=seen):
                    return sent > seen or sent == 5000

                await eventually(is_more)

    follower = asyncio.ensure_future(follow_in_leaps())
    await is_subscribed(queue)
    for _ in range(10):
        await send_many(direct, job, 500)
        sent += 500
    assert await direct.complete(job.id, lease_token=job.lease_token)
    await follower

    seqs = [update.seq for update in updates]
    assert seqs == sorted(set(seqs))
    assert [update.is_terminal for update in updates] == [False] * (len(updates) - 1) + [True]
