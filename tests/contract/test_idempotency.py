"""Idempotency keys: repeating a submission gives the same job."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import (
    DuplicateJob,
    Idempotency,
    IdempotencyKeyReused,
    JobGone,
    JobStatus,
    NewJob,
    QueueFull,
)
from tests.support.jobs import get_job, make_in_state


def key(name: str = "key", *, scope: str = "ada POST /jobs", fingerprint: str = "f1", keep: float = 86_400):
    return Idempotency(scope=scope, key=name, fingerprint=fingerprint, keep=keep)


async def submit(queue, idempotency, **options):
    return await queue.submit(NewJob(job_type="email", **options), idempotency=idempotency)


async def test_a_repetition_gives_the_same_job(queue):
    first = await submit(queue, key())

    again = await submit(queue, key())

    assert (first.created, first.replayed) == (True, False)
    assert (again.created, again.replayed, again.job.id) == (False, True, first.job.id)
    assert await queue.counts() == {"email": {"pending": 1}}


async def test_a_repetition_shows_the_job_as_it_is_now(queue):
    first = await submit(queue, key())
    await queue.complete(first.job.id, {"sent": 1})

    again = await submit(queue, key())

    assert (again.job.status, again.job.results) == (JobStatus.COMPLETE, {"sent": 1})


async def test_another_body_is_refused(queue):
    first = await submit(queue, key(fingerprint="f1"))

    with pytest.raises(IdempotencyKeyReused) as refused:
        await submit(queue, key(fingerprint="f2"))

    assert refused.value.job_id == first.job.id
    assert await queue.counts() == {"email": {"pending": 1}}


async def test_scopes_and_keys_are_apart(queue):
    ids = {
        (await submit(queue, idempotency)).job.id
        for idempotency in (key("a"), key("b"), key("a", scope="bob POST /jobs"), key("A"))
    }

    assert len(ids) == 4


async def test_a_key_lasts_as_long_as_it_is_kept(queue, clock):
    first = await submit(queue, key(keep=10))
    clock.advance(9.999)
    assert (await submit(queue, key())).job.id == first.job.id
    clock.advance(0.001)

    fresh = await submit(queue, key(fingerprint="other body"))

    assert (fresh.created, fresh.replayed) == (True, False)
    assert fresh.job.id != first.job.id


async def test_pruning_leaves_keys_that_are_still_kept(queue, clock):
    first = await submit(queue, key(keep=10))
    clock.advance(5)
    await queue.backend.prune(100)

    assert (await submit(queue, key())).job.id == first.job.id


async def test_a_replay_after_its_job_was_removed_is_refused(queue):
    first = await submit(queue, key())
    await queue.cancel(first.job.id)
    await queue.delete(first.job.id)

    with pytest.raises(JobGone) as gone:
        await submit(queue, key())

    assert gone.value.job_id == first.job.id
    assert await queue.counts() == {}


async def test_a_key_is_bound_to_the_job_that_a_unique_key_answered_with(queue):
    held = await make_in_state(queue, "processing", unique_key="k")
    met = await submit(queue, key(), unique_key="k")
    await queue.complete(held.id)

    again = await submit(queue, key(), unique_key="k")

    assert (met.created, met.job.id) == (False, held.id)
    assert (again.replayed, again.job.id) == (True, held.id)
    assert await queue.counts() == {"email": {"complete": 1}}


async def test_a_refused_submission_binds_nothing(queue):
    held = await make_in_state(queue, "pending", unique_key="k")
    with pytest.raises(DuplicateJob):
        await submit(queue, key(), unique_key="k", on_conflict="reject")
    await queue.cancel(held.id)

    stored = await submit(queue, key(), unique_key="k", on_conflict="reject")

    assert stored.created


async def test_a_submission_to_a_full_type_binds_nothing(make_queue):
    queue = make_queue(max_pending=0)
    with pytest.raises(QueueFull):
        await submit(queue, key())
    await queue.set_job_type("email", max_pending=1)

    assert (await submit(queue, key())).created


async def test_a_replay_does_not_need_room(make_queue):
    queue = make_queue(max_pending=1)
    first = await submit(queue, key())

    assert (await submit(queue, key())).job.id == first.job.id


async def test_of_many_at_once_one_is_stored(queue):
    submissions = await asyncio.gather(*(submit(queue, key(), data={"n": 1}) for _ in range(20)))

    assert len({submission.job.id for submission in submissions}) == 1
    assert sorted(submission.replayed for submission in submissions) == [False] + [True] * 19
    assert await queue.counts() == {"email": {"pending": 1}}


async def test_a_key_and_an_own_id_go_together(queue):
    first = await submit(queue, key(), job_id="a")
    again = await submit(queue, key(), job_id="a")

    assert (first.job.id, again.job.id, again.replayed) == ("a", "a", True)


async def test_a_replay_does_not_replace_the_job(queue):
    first = await submit(queue, key(), data={"n": 1}, unique_key="k", on_conflict="replace")
    await queue.enqueue("email", {"n": 2}, unique_key="k", on_conflict="replace")

    await submit(queue, key(), data={"n": 1}, unique_key="k", on_conflict="replace")

    assert (await get_job(queue, first.job.id)).data == {"n": 2}


@pytest.mark.parametrize("field", ["scope", "key", "fingerprint"])
@pytest.mark.parametrize("value", [5, None, True, b"k", "\ud800"], ids=repr)
def test_what_is_no_text_is_named(field, value):
    with pytest.raises(ValueError, match=rf"Idempotency\n{field}\n"):
        Idempotency(**{"scope": "s", "key": "k", "fingerprint": "f", field: value})


@pytest.mark.parametrize(
    "keep", ["5", True, None, -1, float("nan"), float("inf"), 10**400], ids=lambda v: str(v)[:9]
)
def test_what_is_no_time_to_keep_a_key_is_named(keep):
    with pytest.raises(ValueError, match=r"Idempotency\nkeep\n"):
        key(keep=keep)


@pytest.mark.parametrize("idempotency", ["key", 5, {"key": "k"}])
async def test_only_an_idempotency_binds(queue, idempotency):
    with pytest.raises(TypeError, match="idempotency must be an Idempotency"):
        await submit(queue, idempotency)

    assert await queue.counts() == {}
