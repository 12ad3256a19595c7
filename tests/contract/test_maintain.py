"""What only time does, where no worker does it: one bounded step at a time."""

from __future__ import annotations

import pytest

from jdobb_async_queue import Maintained
from tests.support.jobs import get_job, make_in_state, make_job, start_job


async def test_there_is_nothing_to_do_before_its_time(queue, clock):
    await start_job(queue, lease=10)
    await make_job(queue, "late", ttl=10)
    await make_in_state(queue, "complete", "old")
    clock.advance(9.999)

    assert await queue.maintain() == Maintained(rescued=0, expired=0, pruned=0)


async def test_lost_leases_missed_starts_and_old_jobs_are_seen_to(make_queue, clock):
    queue = make_queue(retention=10)
    lost = await start_job(queue, lease=10)
    late = await make_job(queue, "late", ttl=10)
    old = await make_in_state(queue, "complete", "old")
    clock.advance(10)

    assert await queue.maintain() == Maintained(rescued=1, expired=1, pruned=1)

    assert (await get_job(queue, lost.id)).status == "pending"
    assert (await get_job(queue, late.id)).status == "failed"
    assert await queue.get(old.id) is None
    clock.advance(10)
    assert await queue.maintain() == Maintained(rescued=0, expired=0, pruned=1), "by the queue's retention"


async def test_a_step_is_bounded(make_queue, clock):
    queue = make_queue(retention=10)
    for _ in range(3):
        await start_job(queue, lease=5)
        await make_job(queue, "late", ttl=5)
        await make_in_state(queue, "cancelled", "old")
    clock.advance(5)
    clock.advance(5)

    steps = [await queue.maintain(limit=2) for _ in range(2)]

    assert steps == [Maintained(rescued=n, expired=n, pruned=n) for n in (2, 1)]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2"])
async def test_a_step_is_of_one_job_at_least(queue, limit):
    with pytest.raises((ValueError, TypeError), match="limit"):
        await queue.maintain(limit)
