"""Stories of several steps: where the rules of a job's life meet each other."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from enum import Enum

import pytest

from jdobb_async_queue import (
    Broadcaster,
    Idempotency,
    JobPriority,
    JobQueue,
    JobStatus,
    NewJob,
    Outcome,
    RetryPolicy,
)
from tests.support.jobs import (
    claim_job,
    claim_order,
    get_job,
    log_of,
    make_in_state,
    make_job,
    start_job,
    sweep,
)
from tests.support.waiting import WITHIN


async def status_of(queue: JobQueue, job_id: str) -> str:
    return (await get_job(queue, job_id)).status.value


async def test_the_guides_testing_example(queue):
    job_id = await queue.enqueue("test", data={"x": 1})
    job = await queue.claim(["test"])
    assert job.status == JobStatus.PROCESSING
    await queue.complete(job_id, results={"y": 2})
    final = await queue.get(job_id)
    assert final.status == JobStatus.COMPLETE


async def test_a_job_cancelled_and_retried_runs_as_a_new_attempt(queue):
    first = await start_job(queue, data={"n": 1})
    await queue.update(first.id, 0.6, "nearly", lease_token=first.lease_token)
    await queue.cancel(first.id, "stop")
    await queue.retry(first.id)

    second = await claim_job(queue)

    assert (second.attempt, second.progress, second.error, second.data) == (2, 0.0, None, {"n": 1})
    assert not await queue.complete(first.id, {"late": 1}, lease_token=first.lease_token)
    assert await queue.complete(second.id, {"ok": 1}, lease_token=second.lease_token)
    assert (await get_job(queue, first.id)).results == {"ok": 1}


async def test_a_job_cancelled_before_it_ran_and_retried_runs_its_first_attempt(queue, clock):
    job = await make_job(queue, delay=60)
    await queue.cancel(job.id)
    clock.advance(1)
    await queue.retry(job.id)

    started = await claim_job(queue)

    assert (started.attempt, started.run_at) == (1, clock.time)


async def test_snoozing_counts_starts_but_no_failures(queue, clock):
    job_id = await queue.enqueue("email", max_attempts=1, max_lost=1)
    for attempt in range(1, 5):
        job = await claim_job(queue)
        assert job.attempt == attempt
        await queue.release(job_id, lease_token=job.lease_token, delay=10)
        clock.advance(10)
    job = await claim_job(queue)
    await queue.complete(job_id, lease_token=job.lease_token)

    done = await get_job(queue, job_id)
    assert (done.attempt, done.failures, done.losses, done.errors) == (5, 0, 0, [])


async def test_a_worker_that_stops_late_does_not_release_anothers_attempt(queue, clock):
    late = await start_job(queue, lease=1)
    clock.advance(1)
    current = await claim_job(queue)

    assert not await queue.release(late.id, lease_token=late.lease_token)

    assert await status_of(queue, late.id) == "processing"
    assert await queue.complete(late.id, lease_token=current.lease_token)


async def test_a_delayed_job_that_nobody_takes_expires_after_its_ttl_from_due(queue, clock):
    job = await make_job(queue, delay=100, ttl=10, unique_key="k")
    clock.advance(105)
    assert await status_of(queue, job.id) == "pending"
    clock.advance(5)

    assert await queue.claim() is None

    assert (await get_job(queue, job.id)).error.startswith("expired:")
    assert await queue.enqueue("email", unique_key="k") != job.id


async def test_an_expired_job_that_is_retried_has_its_whole_ttl_again(queue, clock):
    job = await make_job(queue, ttl=10)
    clock.advance(10)
    await sweep(queue)
    clock.advance(1000)
    await queue.retry(job.id)
    clock.advance(9)

    assert (await claim_job(queue)).attempt == 1


async def test_a_replaced_job_waits_on_as_the_new_one_and_a_running_one_is_left_alone(queue, clock):
    first = await queue.enqueue("email", {"n": 1}, unique_key="k", on_conflict="replace")
    clock.advance(1)
    again = await queue.enqueue("email", {"n": 2}, unique_key="k", on_conflict="replace")
    running = await claim_job(queue)
    third = await queue.enqueue("email", {"n": 3}, unique_key="k", on_conflict="replace")

    assert first == again == third == running.id
    assert running.data == {"n": 2}
    assert (await get_job(queue, first)).data == {"n": 2}
    assert await queue.complete(first, lease_token=running.lease_token)
    assert await queue.enqueue("email", {"n": 4}, unique_key="k", on_conflict="replace") != first


async def test_a_rescued_job_goes_before_what_came_later(queue, clock):
    early = await start_job(queue, lease=5)
    later = [await queue.enqueue("email") for _ in range(3)]
    clock.advance(5)

    assert await claim_order(queue) == [early.id, *later]


async def test_failing_a_pending_job_by_hand_may_exceed_its_attempts(queue, clock):
    job = await make_job(queue, retry=RetryPolicy(max_attempts=3, base=10, jitter=0))
    await queue.fail(job.id, "one")
    await queue.fail(job.id, "two")

    waiting = await get_job(queue, job.id)
    assert (waiting.status.value, waiting.attempt, waiting.failures) == ("pending", 0, 2)
    assert waiting.run_at == clock.time + timedelta(seconds=20)
    await queue.fail(job.id, "three")
    failed = await get_job(queue, job.id)
    assert (failed.status.value, failed.attempt, failed.failures) == ("failed", 0, 3)
    assert [(error.attempt, error.message) for error in failed.errors] == [
        (0, "one"),
        (0, "two"),
        (0, "three"),
    ]


async def test_a_job_given_up_after_losses_may_be_retried_and_lost_as_often_again(queue, clock):
    job_id = await queue.enqueue("email", max_lost=2)
    for _ in range(2):
        await claim_job(queue, lease=1)
        clock.advance(1)
        await sweep(queue)
    assert (await get_job(queue, job_id)).error == "lease lost 2 times"
    await queue.retry(job_id)

    await claim_job(queue, lease=1)
    clock.advance(1)
    await sweep(queue)

    again = await get_job(queue, job_id)
    assert (again.status.value, again.losses, again.attempt, len(again.errors)) == ("pending", 1, 3, 3)


async def test_a_retry_resets_the_failures_but_keeps_attempts_and_errors(queue):
    job_id = await queue.enqueue("email", max_attempts=2)
    for n in range(2):
        job = await claim_job(queue)
        await queue.fail(job_id, f"boom {n}", lease_token=job.lease_token, retry_in=0)

    await queue.retry(job_id)

    ready = await get_job(queue, job_id)
    assert (ready.failures, ready.attempt) == (0, 2)
    assert [error.message for error in ready.errors] == ["boom 0", "boom 1"]
    job = await claim_job(queue)
    await queue.fail(job_id, "boom 2", lease_token=job.lease_token, retry_in=0)
    assert await status_of(queue, job_id) == "pending"


async def test_an_id_is_free_again_only_when_its_job_was_removed(queue):
    await make_in_state(queue, "complete", job_id="a", data={"n": 1})
    assert await queue.enqueue("email", {"n": 1}, job_id="a") == "a"
    assert await status_of(queue, "a") == "complete"
    await queue.delete("a")

    await queue.enqueue("email", {"n": 1}, job_id="a")

    assert await status_of(queue, "a") == "pending"


async def test_the_owner_of_a_removed_job_cannot_settle_the_next_with_its_id(queue):
    old = await start_job(queue, job_id="a")
    await queue.cancel("a")
    await queue.delete("a")
    new = await start_job(queue, job_id="a")

    assert not await queue.complete("a", {"from": "old"}, lease_token=old.lease_token)
    assert (await queue.heartbeat([("a", old.lease_token)]))[0].status == "lost"
    assert await queue.complete("a", {"from": "new"}, lease_token=new.lease_token)


async def test_an_idempotency_key_outlives_its_job_and_then_its_time(queue, clock):
    key = Idempotency(scope="s", key="k", fingerprint="f", keep=100)
    first = await queue.submit(NewJob(job_type="email"), idempotency=key)
    await queue.cancel(first.job.id)
    await queue.delete(first.job.id)
    answers = []
    for pause in (0, 99, 1):
        clock.advance(pause)
        try:
            answers.append((await queue.submit(NewJob(job_type="email"), idempotency=key)).created)
        except Exception as error:  # noqa: BLE001 - its name is what is looked at
            answers.append(type(error).__name__)

    assert answers == ["JobGone", "JobGone", True]


async def test_a_paused_jobs_ttl_runs_out_while_it_waits(queue, clock):
    job = await make_job(queue, ttl=10)
    await queue.pause("email", until=clock.time + timedelta(seconds=10))
    clock.advance(10)

    assert await queue.claim() is None

    assert (await get_job(queue, job.id)).error.startswith("expired:")


async def test_a_released_job_of_a_paused_type_waits_for_the_resume(queue):
    job = await start_job(queue)
    await queue.pause("email")
    await queue.release(job.id, lease_token=job.lease_token)
    assert await queue.claim() is None

    await queue.resume("email")

    assert (await claim_job(queue)).id == job.id


async def test_a_cancel_while_backing_off_ends_the_retries(queue, clock):
    job = await start_job(queue, max_attempts=5)
    await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=10)
    await queue.cancel(job.id, "enough")
    clock.advance(10)

    assert await queue.claim() is None
    cancelled = await get_job(queue, job.id)
    assert (cancelled.error, cancelled.failures) == ("enough", 1)


async def test_a_completion_by_hand_while_backing_off_ends_the_retries(queue, clock):
    job = await start_job(queue, max_attempts=5)
    await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=10)
    assert await queue.complete(job.id, {"fixed": "by hand"})
    clock.advance(10)

    assert await queue.claim() is None
    done = await get_job(queue, job.id)
    assert (done.status.value, done.error, done.failures) == ("complete", None, 1)


async def test_losses_and_failures_of_one_job_are_limited_apart(queue, clock):
    job_id = await queue.enqueue("email", retry=RetryPolicy(max_attempts=2, base=0), max_lost=2)
    await claim_job(queue, lease=1)
    clock.advance(1)
    job = await claim_job(queue)
    await queue.fail(job_id, "boom", lease_token=job.lease_token)
    assert await status_of(queue, job_id) == "pending"
    await claim_job(queue, lease=1)
    clock.advance(1)
    await sweep(queue)

    failed = await get_job(queue, job_id)
    assert (failed.losses, failed.failures, failed.attempt) == (2, 1, 3)
    assert failed.error == "lease lost 2 times"


async def test_a_long_job_with_a_short_lease_lives_by_its_heartbeats(queue, clock):
    job = await start_job(queue, lease=3)
    for _ in range(100):
        clock.advance(2.9)
        assert await queue.claim() is None
        (state,) = await queue.heartbeat([(job.id, job.lease_token)])
        assert state.status == "ok"

    assert await queue.complete(job.id, lease_token=job.lease_token)
    assert (await get_job(queue, job.id)).losses == 0


async def test_a_job_claimed_with_two_leases_in_a_row_answers_to_the_last(queue):
    first = await start_job(queue, lease=10)
    await queue.release(first.id, lease_token=first.lease_token)
    second = await claim_job(queue, lease=20)

    states = await queue.heartbeat([(first.id, first.lease_token), (second.id, second.lease_token)])

    assert [(state.status, state.expires_in) for state in states] == [("lost", 0), ("ok", 20)]


async def test_a_settings_change_reaches_the_attempt_that_runs(queue):
    job = await start_job(queue)
    await queue.set_job_type("email", retry=RetryPolicy(max_attempts=2, base=0))

    await queue.fail(job.id, "boom", lease_token=job.lease_token)

    assert await status_of(queue, job.id) == "pending"


async def test_a_lower_max_lost_counts_at_the_next_loss(queue, clock):
    job_id = await queue.enqueue("email")
    await claim_job(queue, lease=1)
    clock.advance(1)
    await sweep(queue)
    await queue.set_job_type("email", max_lost=1)
    await claim_job(queue, lease=1)
    clock.advance(1)
    await sweep(queue)

    assert (await get_job(queue, job_id)).error == "lease lost 2 times"


async def test_an_urgent_job_overtakes_what_waits_but_not_what_runs(queue):
    running, waiting = await start_job(queue), await queue.enqueue("email")
    urgent = await queue.enqueue("email", priority=JobPriority.HIGH)

    assert await claim_order(queue) == [urgent, waiting]
    assert await status_of(queue, running.id) == "processing"


async def test_a_unique_job_lives_again_and_again_under_one_key(queue):
    seen = set()
    for n in range(5):
        job = await start_job(queue, data={"n": n}, unique_key="nightly")
        assert await queue.enqueue("email", {"n": 99}, unique_key="nightly") == job.id
        if n % 2:
            await queue.fail(job.id, "boom", lease_token=job.lease_token)
        else:
            await queue.complete(job.id, lease_token=job.lease_token)
        seen.add(job.id)

    assert len(seen) == 5


async def test_a_second_run_may_queue_while_the_first_one_runs(queue):
    first = await start_job(queue, unique_key="sync", unique_until="started")
    second = await queue.enqueue("email", unique_key="sync", unique_until="started")
    third = await queue.enqueue("email", unique_key="sync", unique_until="started")

    assert second == third != first.id
    await queue.complete(first.id, lease_token=first.lease_token)
    assert (await claim_job(queue)).id == second


async def test_a_retried_job_competes_for_its_key_with_its_successor(queue):
    old = await make_in_state(queue, "failed", unique_key="k")
    new = await start_job(queue, unique_key="k")

    assert (await queue.try_retry(old.id))[0] is Outcome.CONFLICT
    await queue.complete(new.id, lease_token=new.lease_token)
    assert (await queue.try_retry(old.id))[0] is Outcome.OK
    assert await queue.enqueue("email", unique_key="k") == old.id


async def test_everything_that_happened_to_a_job_is_in_its_log(queue, clock):
    job_id = await queue.enqueue("email", retry=RetryPolicy(max_attempts=2, base=0), ttl=100)
    job = await claim_job(queue, lease=1)
    await queue.update(job_id, 0.5, "half", lease_token=job.lease_token)
    await Broadcaster(queue).send(job_id, data={"rows": 1})
    clock.advance(1)
    job = await claim_job(queue)
    await queue.fail(job_id, "boom", lease_token=job.lease_token)
    job = await claim_job(queue)
    await queue.release(job_id, lease_token=job.lease_token, delay=5)
    await queue.cancel(job_id, "enough")
    await queue.retry(job_id)
    clock.advance(100)
    await sweep(queue)

    log = await log_of(queue, job_id)

    assert [(update.kind, update.status.value, update.attempt, update.progress) for update in log] == [
        ("status", "processing", 1, 0.0),
        ("progress", "processing", 1, 0.5),
        ("custom", "processing", 1, 0.5),
        ("status", "pending", 1, 0.5),
        ("status", "processing", 2, 0.0),
        ("status", "pending", 2, 0.0),
        ("status", "processing", 3, 0.0),
        ("status", "pending", 3, 0.0),
        ("status", "cancelled", 3, 0.0),
        ("status", "pending", 3, 0.0),
        ("status", "failed", 3, 0.0),
    ]
    assert [update.seq for update in log] == sorted({update.seq for update in log})


async def test_a_crowd_of_jobs_ends_with_every_job_settled_once(queue):
    ids = await queue.enqueue_many(
        [NewJob(job_type=f"type-{n % 4}", data={"n": n}, max_attempts=3) for n in range(200)]
    )
    settled: list[str] = []

    async def work() -> None:
        while jobs := await queue.claim_many(limit=5):
            for job in jobs:
                if job.data["n"] % 7 == 0 and job.attempt == 1:
                    assert await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=0)
                elif job.data["n"] % 5 == 0 and job.attempt == 1:
                    assert await queue.release(job.id, lease_token=job.lease_token)
                else:
                    assert await queue.complete(job.id, {"n": job.data["n"]}, lease_token=job.lease_token)
                    settled.append(job.id)

    await asyncio.gather(*(work() for _ in range(8)))

    assert sorted(settled) == sorted(ids)
    assert {tuple(counts.items()) for counts in (await queue.counts()).values()} == {(("complete", 50),)}


async def test_the_end_of_time_can_be_read_back(queue):
    end = datetime.max.replace(tzinfo=timezone.utc)
    job_id = await queue.enqueue("email", run_at=end)
    paused = await queue.pause("email", until=end)

    assert (await queue.get(job_id)).run_at.year == 9999
    assert [job.id for job in (await queue.list_jobs()).items] == [job_id]
    assert (paused.paused, (await queue.job_types())[0].pause_until.year) == (True, 9999)


@pytest.mark.parametrize("value", [10**400, -(10**400)])
async def test_a_number_beyond_all_bounds_is_refused_by_name(queue, value):
    with pytest.raises(ValueError, match="delay"):
        await queue.enqueue("email", delay=value)


async def test_a_job_type_from_an_enum_wakes_whoever_waits_for_it(queue):
    class Kind(str, Enum):
        MAIL = "mail"

    with queue.backend.watch(["type:mail"]) as bell:
        job_id = await queue.enqueue(Kind.MAIL)

        assert await bell.wait(WITHIN)
    assert (await queue.claim([Kind.MAIL])).id == job_id


@pytest.mark.parametrize("after", [-1, True, "5", 1.0])
async def test_a_place_in_the_log_is_a_whole_number(queue, after):
    job_id = await queue.enqueue("email")

    with pytest.raises((ValueError, TypeError), match="after"):
        await anext(Broadcaster(queue).subscribe(job_id, after=after))


async def test_a_live_watch_ends_at_a_terminal_update_although_the_job_was_retried_before_it_looked(queue):
    job_id = await queue.enqueue("email")
    updates = Broadcaster(queue).subscribe(job_id, after=0)
    await queue.update(job_id, 0.5)
    first = await anext(updates)
    await queue.fail(job_id, "boom")
    await queue.retry(job_id)

    assert [first.progress, *[update.status.value async for update in updates]] == [0.5, "failed"]


async def test_whoever_stops_watching_with_a_timeout_leaves_nothing_behind(queue):
    job_id = await queue.enqueue("email")

    async def watch():
        async for _ in Broadcaster(queue).subscribe_with_timeout(job_id, 30):
            pass

    watching = asyncio.ensure_future(watch())
    while not queue.backend._bells.watched_jobs():  # noqa: ASYNC110 - the bells have no event of their own
        await asyncio.sleep(0)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching

    assert not queue.backend._bells.watched_jobs()


@pytest.mark.parametrize(
    "wrong",
    [{"ttl": True}, {"max_attempts": "3"}, {"delay": "5"}, {"run_at": 1_800_000_000}, {"data": {b"a": 1}}],
)
def test_a_new_job_takes_what_enqueue_takes_and_no_more(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NewJob(job_type="email", **wrong)


async def test_a_shorter_pause_wakes_whoever_waits_for_the_end_of_a_longer_one(queue, clock):
    await queue.pause("email", until=clock.time + timedelta(hours=1))
    with queue.backend.watch(["type:email"]) as bell:
        await queue.pause("email", until=clock.time + timedelta(seconds=1))

        assert await bell.wait(WITHIN)
