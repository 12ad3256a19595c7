"""Job-type settings: field by field the job's, the operator's, the last publisher's, the default."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jdobb_async_queue import JobTypeInfo, RetryPolicy
from tests.support.jobs import claim_job, get_job, make_job, start_job

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}}


async def publish(queue, job_type="email", **settings) -> None:
    """Publish a handler's settings, as a worker does at its start."""
    await queue.open()
    await queue.backend.set_job_type(job_type, published=json.dumps(settings).encode())


async def info(queue, job_type="email") -> JobTypeInfo:
    (found,) = [each for each in await queue.job_types() if each.job_type == job_type]
    return found


class TestShown:
    async def test_no_types_are_known_at_first(self, queue):
        assert await queue.job_types() == []

    async def test_a_type_with_jobs_is_known_with_the_defaults(self, queue):
        await queue.enqueue("email")

        assert await queue.job_types() == [JobTypeInfo(job_type="email")]

    async def test_types_come_by_name(self, queue):
        await queue.set_job_type("c")
        await queue.enqueue("b")
        await queue.pause("a")

        assert [each.job_type for each in await queue.job_types()] == ["a", "b", "c"]

    async def test_settings_are_shown_as_they_are_in_force(self, queue):
        answered = await queue.set_job_type(
            "email", retry=RetryPolicy(max_attempts=4, base=2), timeout=5, max_lost=2, max_pending=7,
            schema=SCHEMA,
        )  # fmt: skip

        assert answered.retry == RetryPolicy(max_attempts=4, base=2)
        assert (answered.timeout, answered.max_lost, answered.max_pending) == (5, 2, 7)
        assert answered.payload_schema == SCHEMA
        assert await info(queue) == answered

    async def test_new_settings_replace_the_operators_earlier_ones_as_a_whole(self, queue):
        await queue.set_job_type("email", timeout=5, max_lost=2)

        await queue.set_job_type("email", max_lost=7)

        found = await info(queue)
        assert (found.timeout, found.max_lost) == (None, 7)

    async def test_settings_of_nothing_take_all_back(self, queue):
        await publish(queue, timeout=9)
        await queue.set_job_type("email", timeout=5, max_lost=2)

        await queue.set_job_type("email")

        found = await info(queue)
        assert (found.timeout, found.max_lost) == (9, 3)

    async def test_types_are_apart(self, queue):
        await queue.set_job_type("email", timeout=5)
        await queue.set_job_type("report", timeout=6)

        assert [each.timeout for each in await queue.job_types()] == [5, 6]


LAYERS = ("default", "published", "operator", "job")
VALUES = {
    "timeout": (None, 11.0, 12.0, 13.0),
    "max_lost": (3, 11, 12, 13),
    "max_attempts": (1, 11, 12, 13),
}


class TestPrecedence:
    @pytest.mark.parametrize("field", VALUES)
    @pytest.mark.parametrize("highest", LAYERS)
    async def test_the_highest_layer_that_has_a_field_decides(self, queue, field, highest):
        present = LAYERS[: LAYERS.index(highest) + 1]
        values = dict(zip(LAYERS, VALUES[field], strict=True))
        if "published" in present:
            await publish(queue, **self.as_json(field, values["published"]))
        if "operator" in present:
            await queue.set_job_type("email", **self.as_settings(field, values["operator"]))
        own = {field: values["job"]} if "job" in present else {}

        job = await make_job(queue, **own)

        assert getattr(job, field) == values[highest]

    def as_json(self, field, value):
        return {"retry": {field: value}} if field == "max_attempts" else {field: value}

    def as_settings(self, field, value):
        return {"retry": RetryPolicy(**{field: value})} if field == "max_attempts" else {field: value}

    async def test_each_field_is_decided_for_itself(self, queue):
        await publish(queue, timeout=11, max_lost=11, retry={"max_attempts": 11})
        await queue.set_job_type("email", max_lost=12)

        job = await make_job(queue, max_attempts=13)

        assert (job.timeout, job.max_lost, job.max_attempts) == (11, 12, 13)

    async def test_each_field_of_a_retry_policy_is_decided_for_itself(self, queue, clock):
        await publish(queue, retry={"max_attempts": 5, "base": 1, "factor": 3, "jitter": 0})
        await queue.set_job_type("email", retry=RetryPolicy(base=10))
        job = await start_job(queue, retry=RetryPolicy(cap=25))
        delays = []
        for _ in range(3):
            await queue.fail(job.id, "boom", lease_token=job.lease_token)
            due = (await get_job(queue, job.id)).run_at
            delays.append((due - clock.time).total_seconds())
            clock.advance(delays[-1])
            job = await claim_job(queue)

        assert delays == [10, 25, 25]

    async def test_the_last_publisher_wins(self, queue):
        await publish(queue, timeout=11)
        await publish(queue, timeout=12)

        assert (await info(queue)).timeout == 12

    async def test_a_publication_does_not_touch_the_operators_settings(self, queue):
        await queue.set_job_type("email", timeout=5)

        await publish(queue, timeout=11, max_lost=9)

        found = await info(queue)
        assert (found.timeout, found.max_lost) == (5, 9)

    async def test_settings_count_for_jobs_that_are_stored_already(self, queue):
        job = await make_job(queue)

        await queue.set_job_type("email", timeout=5, max_lost=2, retry=RetryPolicy(max_attempts=4))

        after = await get_job(queue, job.id)
        assert (after.timeout, after.max_lost, after.max_attempts) == (5, 2, 4)
        claimed = await claim_job(queue)
        assert (claimed.timeout, claimed.max_lost, claimed.max_attempts) == (5, 2, 4)
        assert (await queue.list_jobs()).items[0].timeout == 5
        assert await queue.fail(job.id, "boom", lease_token=claimed.lease_token)
        assert (await get_job(queue, job.id)).status.value == "pending"

    async def test_new_settings_are_no_change_of_a_job(self, queue, clock):
        job = await make_job(queue)
        clock.advance(1)

        await queue.set_job_type("email", timeout=5)

        after = await get_job(queue, job.id)
        assert (after.version, after.updated_at) == (job.version, job.updated_at)

    async def test_an_operator_may_make_a_type_give_up(self, queue):
        await queue.set_job_type("email", retry=RetryPolicy(max_attempts=5, give_up_on=("ValueError",)))
        job = await start_job(queue)

        await queue.fail(job.id, "boom", lease_token=job.lease_token, type="ValueError")

        assert (await get_job(queue, job.id)).status.value == "failed"

    async def test_a_jobs_policy_may_raise_what_the_type_limits(self, queue, clock):
        await queue.set_job_type("email", retry=RetryPolicy(max_attempts=2, base=5, jitter=0))
        job = await start_job(queue, max_attempts=3)
        for _ in range(2):
            await queue.fail(job.id, "boom")

        after = await get_job(queue, job.id)
        assert (after.status.value, after.failures) == ("pending", 2)
        assert after.run_at == clock.time + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("settings", "error", "field"),
    [
        ({"retry": {"max_attempts": 2}}, TypeError, "retry"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"timeout": "5"}, TypeError, "timeout"),
        ({"max_lost": 0}, ValueError, "max_lost"),
        ({"max_lost": 1.5}, TypeError, "max_lost"),
        ({"max_pending": -1}, ValueError, "max_pending"),
        ({"max_pending": True}, TypeError, "max_pending"),
        ({"schema": [1]}, TypeError, "schema"),
        ({"schema": {"x": float("nan")}}, ValueError, "schema"),
    ],
)
async def test_bad_settings_are_named_and_change_nothing(queue, settings, error, field):
    await queue.set_job_type("email", timeout=5)
    before = await queue.job_types()

    with pytest.raises(error, match=field):
        await queue.set_job_type("email", **settings)

    assert await queue.job_types() == before


async def test_whoever_changes_a_schema_that_was_shown_changes_their_own(queue):
    first = await queue.set_job_type(
        "email", schema={"type": "object", "properties": {"to": {"type": "string"}}}
    )
    first.payload_schema["properties"].clear()
    (second,) = await queue.job_types()
    second.payload_schema["type"] = "array"

    (third,) = await queue.job_types()
    assert third.payload_schema == {"type": "object", "properties": {"to": {"type": "string"}}}


async def test_a_change_of_settings_reaches_the_jobs_that_share_them(queue):
    ids = [await queue.enqueue("email", max_lost=n) for n in (1, 2)]
    for timeout in (5, 6, 5):
        await queue.set_job_type("email", timeout=timeout)

        jobs = await queue.get_many(ids)
        assert [(job.timeout, job.max_lost) for job in jobs] == [(timeout, 1), (timeout, 2)]


async def test_a_bad_name_is_refused(queue):
    with pytest.raises(ValueError, match="job_type"):
        await queue.set_job_type("no blanks")
