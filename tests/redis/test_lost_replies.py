"""A reply is lost after the server did what was asked: the call is sent again, and nothing is done twice."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import Broadcaster, Idempotency, NewJob, Outcome, RetryPolicy
from tests.support.jobs import TYPE, claim_job, get_job, log_of, make_in_state, make_job, start_job
from tests.support.waiting import eventually

KEY = Idempotency(scope="ada POST /jobs", key="key", fingerprint="f1", keep=86_400)
PATIENT = RetryPolicy(max_attempts=5, base=60.0)


@pytest.fixture
async def lost(proxy):
    """Check that the test has lost a reply."""
    yield proxy
    assert proxy.lost > 0


async def answered_late(proxy, call, meanwhile):
    """Return what a call answers whose first reply is lost; ``meanwhile`` runs before it is sent again."""
    proxy.lose_replies(then_silent=True)
    calling = asyncio.ensure_future(call)

    async def was_lost():
        return proxy.lost == 1

    await eventually(was_lost)
    await meanwhile
    proxy.heal()
    return await calling


# -- enqueueing --------------------------------------------------------------------------------------------


async def test_enqueue(queue, lost):
    lost.lose_replies()

    job_id = await queue.enqueue(TYPE)

    assert await queue.counts() == {TYPE: {"pending": 1}}
    assert (await get_job(queue, job_id)).version == 1


async def test_a_submission_has_created_its_job(queue, lost):
    lost.lose_replies()

    submitted = await queue.submit(NewJob(job_type=TYPE))

    assert submitted.created
    assert submitted.job == await get_job(queue, submitted.job.id)


async def test_enqueue_with_an_own_id(queue, lost):
    lost.lose_replies()

    submitted = await queue.submit(NewJob(job_type=TYPE, job_id="mine", data={"n": 1}))

    assert submitted.created
    assert await queue.counts() == {TYPE: {"pending": 1}}


async def test_enqueue_of_a_job_that_was_run_and_removed_meanwhile(queue, direct, lost):
    async def run_and_remove():
        job = await claim_job(direct)
        assert await direct.complete(job.id, lease_token=job.lease_token)
        assert await direct.delete(job.id)

    await direct.open()
    await queue.open()

    job_id = await answered_late(lost, queue.enqueue(TYPE, job_id="mine"), run_and_remove())

    assert job_id == "mine"
    assert await queue.get(job_id) is None


async def test_enqueue_with_a_unique_key(queue, lost):
    lost.lose_replies()

    submitted = await queue.submit(NewJob(job_type=TYPE, unique_key="report", on_conflict="reject"))

    assert submitted.created
    assert await queue.counts() == {TYPE: {"pending": 1}}


async def test_enqueue_with_a_unique_key_that_was_free_again_meanwhile(queue, direct, lost):
    async def run():
        job = await claim_job(direct)
        assert await direct.complete(job.id, lease_token=job.lease_token)

    await direct.open()
    await queue.open()

    await answered_late(lost, queue.enqueue(TYPE, unique_key="report"), run())

    assert await queue.counts() == {TYPE: {"complete": 1}}


async def test_replacing_the_holder_of_a_unique_key(queue, lost):
    held = await make_job(queue, unique_key="report", data={"n": 1})
    lost.lose_replies()

    submitted = await queue.submit(
        NewJob(job_type=TYPE, unique_key="report", on_conflict="replace", data={"n": 2})
    )

    replaced = await get_job(queue, held.id)
    assert (submitted.created, submitted.job.id) == (False, held.id)
    assert (replaced.data, replaced.version) == ({"n": 2}, held.version + 1)


async def test_replacing_what_another_replaced_meanwhile(queue, direct, lost):
    held = await make_job(direct, unique_key="report", data={"n": 1})
    await queue.open()

    def replacing(by, n):
        return by.enqueue(TYPE, {"n": n}, unique_key="report", on_conflict="replace")

    await answered_late(lost, replacing(queue, 2), replacing(direct, 3))

    assert (await get_job(queue, held.id)).data == {"n": 3}


async def test_enqueue_with_an_idempotency_key(queue, lost):
    lost.lose_replies()

    submitted = await queue.submit(NewJob(job_type=TYPE), idempotency=KEY)

    assert (submitted.created, submitted.replayed) == (True, False)
    assert await queue.counts() == {TYPE: {"pending": 1}}
    again = await queue.submit(NewJob(job_type=TYPE), idempotency=KEY)
    assert (again.job.id, again.replayed) == (submitted.job.id, True)


async def test_enqueue_many(queue, lost):
    known = await make_job(queue, unique_key="report")
    lost.lose_replies()

    submitted = await queue.submit_many(
        [
            NewJob(job_type=TYPE),
            NewJob(job_type=TYPE, unique_key="report"),
            NewJob(job_type=TYPE, job_id="mine"),
        ]
    )

    assert [one.created for one in submitted] == [True, False, True]
    assert submitted[1].job.id == known.id
    assert await queue.counts() == {TYPE: {"pending": 3}}


async def test_max_pending_counts_a_job_once(queue, lost):
    lost.lose_replies()

    await queue.submit(NewJob(job_type=TYPE))
    await queue.set_job_type(TYPE, max_pending=2)
    lost.lose_replies()
    submitted = await queue.submit(NewJob(job_type=TYPE))

    assert submitted.created
    assert await queue.counts() == {TYPE: {"pending": 2}}


# -- claiming ----------------------------------------------------------------------------------------------


async def test_a_claim_hands_out_the_same_job_again(queue, lost):
    jobs = [await make_job(queue) for _ in range(3)]
    lost.lose_replies()

    job = await claim_job(queue)

    assert (job.id, job.attempt) == (jobs[0].id, 1)
    assert await queue.counts() == {TYPE: {"pending": 2, "processing": 1}}
    assert await queue.complete(job.id, lease_token=job.lease_token)


async def test_a_claim_of_many_hands_out_the_same_jobs_again(queue, lost):
    jobs = [await make_job(queue) for _ in range(5)]
    lost.lose_replies()

    claimed = await queue.claim_many([TYPE], 3)

    assert [job.id for job in claimed] == [job.id for job in jobs[:3]]
    assert await queue.counts() == {TYPE: {"pending": 2, "processing": 3}}


async def test_many_claims_at_once_strand_no_job(queue, lost):
    await queue.enqueue_many([NewJob(job_type=TYPE)] * 40)
    lost.lose_replies(2)

    claimed = await asyncio.gather(*(claim_job(queue) for _ in range(40)))

    assert len({job.id for job in claimed}) == 40
    done = [await queue.complete(job.id, lease_token=job.lease_token) for job in claimed]
    assert done == [True] * 40


async def test_a_claim_does_not_hand_out_what_was_cancelled_meanwhile(queue, direct, lost):
    job = await make_job(direct)
    await queue.open()

    claimed = await answered_late(lost, queue.claim([TYPE]), direct.cancel(job.id))

    assert claimed is None
    assert (await get_job(queue, job.id)).status == "cancelled"


# -- moves -------------------------------------------------------------------------------------------------


async def test_complete(queue, lost):
    job = await start_job(queue)
    lost.lose_replies()

    assert await queue.try_complete(job.id, {"sent": 1}, lease_token=job.lease_token) == (
        Outcome.OK,
        await get_job(queue, job.id),
    )

    done = await get_job(queue, job.id)
    assert (done.status, done.results, done.version) == ("complete", {"sent": 1}, job.version + 1)
    assert len(await log_of(queue, job.id)) == 2


async def test_complete_by_hand(queue, lost):
    job = await make_job(queue)
    lost.lose_replies()

    assert await queue.complete(job.id)

    assert (await get_job(queue, job.id)).version == job.version + 1


async def test_complete_of_a_job_that_was_removed_meanwhile(queue, direct, lost):
    job = await start_job(direct)
    await queue.open()

    answer = await answered_late(
        lost, queue.complete(job.id, lease_token=job.lease_token), direct.delete(job.id)
    )

    assert answer
    assert await queue.get(job.id) is None


async def test_fail(queue, lost):
    job = await start_job(queue, retry=PATIENT)
    lost.lose_replies()

    assert await queue.fail(job.id, "boom", lease_token=job.lease_token)

    failed = await get_job(queue, job.id)
    assert (failed.status, failed.failures, len(failed.errors)) == ("pending", 1, 1)


async def test_fail_by_hand(queue, lost):
    job = await make_job(queue, retry=PATIENT)
    lost.lose_replies()

    assert await queue.fail(job.id, "boom")

    failed = await get_job(queue, job.id)
    assert (failed.failures, len(failed.errors)) == (1, 1)


async def test_fail_by_hand_of_a_job_that_another_changed_meanwhile(queue, direct, lost):
    job = await make_job(direct, retry=PATIENT)
    await queue.open()

    assert await answered_late(lost, queue.fail(job.id, "boom"), direct.update(job.id, 0.5))

    assert (await get_job(queue, job.id)).failures == 1


async def test_cancel(queue, lost):
    job = await start_job(queue)
    lost.lose_replies()

    assert await queue.cancel(job.id, "not needed")

    assert (await get_job(queue, job.id)).version == job.version + 1


async def test_cancel_of_a_job_that_was_retried_meanwhile(queue, direct, lost):
    job = await make_job(direct)
    await queue.open()

    assert await answered_late(lost, queue.cancel(job.id), direct.retry(job.id))

    assert (await get_job(queue, job.id)).status == "pending"


async def test_retry(queue, lost):
    job = await make_in_state(queue, "failed")
    lost.lose_replies()

    assert await queue.retry(job.id)

    assert (await get_job(queue, job.id)).version == job.version + 1


async def test_retry_of_a_job_that_failed_again_meanwhile(queue, direct, lost):
    job = await make_in_state(direct, "failed")
    await queue.open()

    async def fail_again():
        again = await claim_job(direct)
        assert await direct.fail(again.id, "boom", lease_token=again.lease_token)

    assert await answered_late(lost, queue.retry(job.id), fail_again())

    assert (await get_job(queue, job.id)).status == "failed"


async def test_release(queue, lost):
    job = await start_job(queue)
    lost.lose_replies()

    assert await queue.release(job.id, lease_token=job.lease_token)

    released = await get_job(queue, job.id)
    assert (released.status, released.version) == ("pending", job.version + 1)


async def test_update(queue, lost):
    job = await start_job(queue)
    lost.lose_replies()

    assert await queue.update(job.id, 0.5, "half", lease_token=job.lease_token)

    updates = [update for update in await log_of(queue, job.id) if update.kind == "progress"]
    assert [(update.progress, update.message) for update in updates] == [(0.5, "half")]


async def test_an_update_whose_message_another_changed_meanwhile(queue, direct, lost):
    job = await start_job(direct)
    await queue.open()

    assert await answered_late(
        lost, queue.update(job.id, message="ours"), direct.update(job.id, message="theirs")
    )

    assert (await get_job(queue, job.id)).message == "theirs"


async def test_a_custom_update(queue, lost):
    job = await start_job(queue)
    lost.lose_replies()

    assert await Broadcaster(queue).send(job.id, message="hello", data={"n": 1})

    custom = [update for update in await log_of(queue, job.id) if update.kind == "custom"]
    assert [update.data for update in custom] == [{"n": 1}]


async def test_delete(queue, lost):
    job = await make_in_state(queue, "complete")
    lost.lose_replies()

    assert await queue.delete(job.id)

    assert await queue.get(job.id) is None


async def test_delete_of_an_unknown_job_stays_unknown(queue, proxy):
    await queue.open()
    proxy.lose_replies()

    outcome, _ = await queue.try_delete("nothing")

    assert outcome is Outcome.UNKNOWN


async def test_what_was_refused_stays_refused_when_the_same_call_changed_the_job(queue, lost):
    job = await start_job(queue)
    busy = asyncio.ensure_future(queue.claim([TYPE]))  # what follows leaves in one call
    await asyncio.sleep(0)
    stale = asyncio.ensure_future(queue.try_complete(job.id, lease_token="stale"))
    cancelled = asyncio.ensure_future(queue.cancel(job.id))
    lost.lose_replies(2)

    assert (await stale)[0] is Outcome.STALE
    assert await cancelled
    assert await busy is None


async def test_heartbeat(queue, lost):
    job = await start_job(queue)
    lost.lose_replies()

    [lease] = await queue.heartbeat([(job.id, job.lease_token)])

    assert lease.status == "ok"


async def test_settings_of_a_job_type(queue, lost):
    lost.lose_replies()

    info = await queue.pause(TYPE, reason="deploy")

    assert info.paused


# -- the connection ----------------------------------------------------------------------------------------


async def test_several_replies_of_one_call_are_lost(queue, lost):
    await queue.open()
    lost.lose_replies(3)

    await queue.enqueue(TYPE)

    assert lost.lost == 3
    assert await queue.counts() == {TYPE: {"pending": 1}}


@pytest.mark.parametrize("after", [1, 20, 60])
async def test_a_reply_is_cut_in_its_middle(queue, lost, after):
    job = await make_job(queue, data={"text": "x" * 500})
    lost.cut_reply(after)

    claimed = await claim_job(queue)

    assert (claimed.id, claimed.attempt, claimed.data) == (job.id, 1, job.data)


async def test_all_connections_are_cut_while_many_calls_are_made(queue, proxy):
    async def cutting():
        for _ in range(20):
            await asyncio.sleep(0.01)
            proxy.cut()

    cut = asyncio.ensure_future(cutting())
    ids = await asyncio.gather(*(queue.enqueue(TYPE, {"n": n}) for n in range(300)))
    await cut

    assert len(set(ids)) == 300
    assert await queue.counts() == {TYPE: {"pending": 300}}


async def test_replies_that_come_late_belong_to_their_requests(queue, proxy):
    ids = [await queue.enqueue(TYPE, {"n": n}) for n in range(20)]
    proxy.delay = 0.02

    async def impatient(number):
        reading = asyncio.ensure_future(queue.get(ids[number]))
        await asyncio.wait([reading], timeout=0.001 * (number % 7))
        reading.cancel()
        await asyncio.wait([reading])

    for _ in range(3):
        await asyncio.gather(*(impatient(number) for number in range(20)))

    found = await asyncio.gather(*(queue.get(job_id) for job_id in ids))
    assert [job.data["n"] for job in found] == list(range(20))
