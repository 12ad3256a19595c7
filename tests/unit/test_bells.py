from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue.backends.bells import ANY_TYPE, Bell, Bells, job_topic, type_topic


async def test_a_bell_that_rang_before_the_wait_does_not_wait():
    bell = Bell()
    bell.ring()

    assert await asyncio.wait_for(bell.wait(), 5)


async def test_a_bell_wakes_its_waiter():
    bell = Bell()
    waiting = asyncio.ensure_future(bell.wait(30))
    await asyncio.sleep(0)

    bell.ring()

    assert await asyncio.wait_for(waiting, 5)


async def test_a_wait_ends_without_a_ring_when_its_time_is_up():
    assert not await Bell().wait(0)


async def test_a_cleared_bell_waits_again():
    bell = Bell()
    bell.ring()
    bell.clear()

    assert not bell.rung
    assert not await bell.wait(0)


async def test_a_ring_between_clearing_and_waiting_is_not_lost():
    bell = Bell()
    bell.clear()
    bell.ring()

    assert await asyncio.wait_for(bell.wait(), 5)


async def test_ringing_often_is_like_ringing_once():
    bell = Bell()
    waiting = asyncio.ensure_future(bell.wait())
    await asyncio.sleep(0)
    for _ in range(3):
        bell.ring()

    assert await asyncio.wait_for(waiting, 5)


async def test_a_cancelled_wait_leaves_a_bell_that_works():
    bell = Bell()
    waiting = asyncio.ensure_future(bell.wait(30))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])

    bell.ring()

    assert await asyncio.wait_for(bell.wait(), 5)


def test_a_bell_rings_for_its_topics_alone():
    bells = Bells()
    with bells.watch([type_topic("email"), job_topic("a")]) as bell:
        bells.ring_type("report")
        bells.ring_job("b")
        assert not bell.rung

        bells.ring_job("a")
        assert bell.rung
        bell.clear()
        bells.ring_type("email")
        assert bell.rung


async def test_those_who_watch_a_topic_are_woken_in_the_order_in_which_they_began():
    bells, woken = Bells(), []

    async def watch(number):
        with bells.watch([type_topic("email")]) as bell:
            await bell.wait()
            woken.append(number)

    watching = [asyncio.ensure_future(watch(number)) for number in range(100)]
    await asyncio.sleep(0)
    bells.ring_type("email")
    await asyncio.gather(*watching)

    assert woken == [*range(100)]


def test_whoever_watches_every_type_hears_each():
    bells = Bells()
    with bells.watch([ANY_TYPE]) as bell:
        bells.ring_type("whatever")

        assert bell.rung


@pytest.mark.parametrize(
    ("ring", "heard"), [("ring_types", {"type", "any"}), ("ring_all", {"type", "any", "job"})]
)
def test_ringing_for_many(ring, heard):
    bells = Bells()
    with (
        bells.watch([type_topic("email")]) as of_type,
        bells.watch([ANY_TYPE]) as of_any,
        bells.watch([job_topic("a")]) as of_job,
    ):
        getattr(bells, ring)()

        named = {"type": of_type, "any": of_any, "job": of_job}
        assert {name for name, bell in named.items() if bell.rung} == heard


def test_a_bell_is_silent_and_forgotten_after_its_watch():
    bells = Bells()
    with bells.watch(["a", "b"]) as bell, bells.watch(["a"]):
        assert bells.watched_jobs()

    bells.ring("a")

    assert not bell.rung
    assert not bells.watched_jobs()


def test_watching_types_is_not_watching_jobs():
    bells = Bells()
    with bells.watch([type_topic("email"), ANY_TYPE]):
        assert not bells.watched_jobs()
