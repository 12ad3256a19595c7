"""Pausing a job type: its claims stop everywhere, everything else goes on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jdobb_async_queue import JobStatus
from tests.support.jobs import claim_job, claim_order, get_job, make_job, start_job, sweep


async def info(queue, job_type="email"):
    (found,) = [each for each in await queue.job_types() if each.job_type == job_type]
    return found


async def test_a_paused_type_is_not_claimed(queue):
    await queue.enqueue("email")

    await queue.pause("email")

    assert await queue.claim() is None
    assert await queue.claim(["email"]) is None
    assert await queue.claim_many(["email"]) == []


async def test_other_types_go_on(queue):
    await queue.enqueue("email", priority="high")
    report = await queue.enqueue("report", priority="low")
    await queue.pause("email")

    assert await claim_order(queue) == [report]
    assert await claim_order(queue, ["email", "report"]) == []


async def test_another_queue_on_the_same_store_does_not_claim_either(make_queue):
    one = make_queue()
    other = make_queue(on=one)
    await one.enqueue("email")

    await one.pause("email")

    assert await other.claim() is None


async def test_a_resumed_type_is_claimed_in_the_old_order(queue):
    ids = [await queue.enqueue("email", priority=priority) for priority in ("low", "high")]
    await queue.pause("email")
    assert await queue.claim() is None

    await queue.resume("email")

    assert await claim_order(queue) == ids[::-1]


async def test_a_pause_until_an_instant_ends_by_itself(queue, clock):
    job = await make_job(queue)
    await queue.pause("email", until=clock.time + timedelta(seconds=10))

    clock.advance(9.999)
    assert await queue.claim() is None
    clock.advance(0.001)
    assert (await claim_job(queue)).id == job.id


async def test_a_pause_shows_its_reason_and_end(queue, clock):
    until = clock.time + timedelta(seconds=10)

    paused = await queue.pause("email", until=until, reason="the supplier is down")

    assert (paused.job_type, paused.paused) == ("email", True)
    assert (paused.pause_reason, paused.pause_until) == ("the supplier is down", until)
    assert await info(queue) == paused


async def test_a_pause_that_is_over_does_not_show(queue, clock):
    await queue.pause("email", until=clock.time + timedelta(seconds=10), reason="down")
    clock.advance(10)

    found = await info(queue)
    assert (found.paused, found.pause_reason, found.pause_until) == (False, None, None)


async def test_a_resumed_type_shows_no_pause(queue, clock):
    await queue.pause("email", until=clock.time + timedelta(seconds=10), reason="down")

    resumed = await queue.resume("email")

    assert (resumed.paused, resumed.pause_reason, resumed.pause_until) == (False, None, None)
    assert await info(queue) == resumed


async def test_a_second_pause_replaces_the_first(queue, clock):
    await queue.pause("email", until=clock.time + timedelta(seconds=10), reason="first")

    await queue.pause("email", reason="second")

    clock.advance(60)
    found = await info(queue)
    assert (found.paused, found.pause_reason, found.pause_until) == (True, "second", None)
    assert (await queue.pause("email", reason="")).pause_reason is None


async def test_running_jobs_go_on(queue):
    job = await start_job(queue)
    await queue.pause("email")

    assert await queue.update(job.id, 0.5, lease_token=job.lease_token)
    assert [state.status for state in await queue.heartbeat([(job.id, job.lease_token)])] == ["ok"]
    assert await queue.complete(job.id, lease_token=job.lease_token)


async def test_enqueueing_goes_on(queue):
    await queue.pause("email")

    assert (await make_job(queue)).status is JobStatus.PENDING


async def test_the_ttl_runs_on(queue, clock):
    job = await make_job(queue, ttl=10)
    await queue.pause("email")
    clock.advance(10)

    assert (await sweep(queue)).expired == 1
    assert (await get_job(queue, job.id)).status is JobStatus.FAILED


async def test_rescues_happen(queue, clock):
    job = await start_job(queue, lease=1)
    await queue.pause("email")
    clock.advance(1)

    assert (await sweep(queue)).rescued == 1
    assert (await get_job(queue, job.id)).status is JobStatus.PENDING


async def test_retries_and_promotions_happen(queue, clock):
    failed = await start_job(queue, max_attempts=2)
    delayed = await make_job(queue, delay=5)
    await queue.pause("email")
    await queue.fail(failed.id, "boom", lease_token=failed.lease_token, retry_in=10)
    clock.advance(20)
    assert (await queue.stats())["email"].ready == 2

    await queue.resume("email")

    assert await claim_order(queue) == [delayed.id, failed.id]


async def test_a_pause_comes_before_the_first_job_of_a_type(queue):
    await queue.pause("email")
    await queue.enqueue("email")

    assert await queue.claim() is None


async def test_resuming_what_is_not_paused_is_harmless(queue):
    resumed = await queue.resume("email")

    assert (resumed.job_type, resumed.paused) == ("email", False)


async def test_resuming_a_type_that_nobody_knows_does_not_create_it(queue):
    await queue.resume("email")

    assert await queue.job_types() == []


async def test_pausing_a_type_that_nobody_knows_creates_it(queue):
    await queue.pause("email")
    await queue.resume("email")

    assert [(each.job_type, each.paused) for each in await queue.job_types()] == [("email", False)]


async def test_a_pause_until_the_past_pauses_nothing(queue, clock):
    job = await make_job(queue)

    paused = await queue.pause("email", until=clock.time - timedelta(seconds=1))

    assert not paused.paused
    assert (await claim_job(queue)).id == job.id


async def test_a_pause_keeps_the_settings_of_the_type(queue):
    await queue.set_job_type("email", timeout=5, max_pending=7)

    await queue.pause("email")
    await queue.resume("email")

    found = await info(queue)
    assert (found.timeout, found.max_pending) == (5, 7)


async def test_new_settings_keep_the_pause(queue):
    await queue.pause("email", reason="down")

    await queue.set_job_type("email", timeout=5)

    found = await info(queue)
    assert (found.paused, found.pause_reason, found.timeout) == (True, "down", 5)


@pytest.mark.parametrize(
    ("arguments", "error", "field"),
    [
        ({"job_type": "no blanks"}, ValueError, "job_type"),
        ({"job_type": 5}, TypeError, "job_type"),
        ({"job_type": "email", "until": datetime(2030, 1, 1)}, ValueError, "until"),  # noqa: DTZ001 - the test
        ({"job_type": "email", "until": 60}, TypeError, "until"),
        ({"job_type": "email", "reason": 5}, TypeError, "reason"),
        ({"job_type": "email", "reason": "\ud800"}, ValueError, "reason"),
    ],
)
async def test_bad_arguments_are_named_and_pause_nothing(queue, arguments, error, field):
    with pytest.raises(error, match=field):
        await queue.pause(**arguments)

    assert await queue.job_types() == []
