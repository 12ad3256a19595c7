"""Values: what is accepted comes back the same, everything else is refused by name, with nothing stored."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta, timezone
from enum import Enum

import pytest

from jdobb_async_queue import Broadcaster, JobPriority, NewJob, RetryPolicy
from tests.support.jobs import claim_job, get_job, log_of, make_job, start_job


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth - 1):
        value = {"x": value}
    return value


def nested_lists(depth: int) -> dict:
    value: list = []
    for _ in range(depth - 2):
        value = [value]
    return {"x": value}


class Colour(str, Enum):
    RED = "red"


class Plain(Enum):
    RED = 1


ODD_TEXTS = [
    "", " ", "\x00", "a\x00b", "\n\r\t", "\x7f", "é", "e\u0301", "日本語", "\U0001f600", "\u2028", "\ufeff",
    "'", '"', "\\", "%s", "{}",
]  # fmt: skip
JSON_VALUES = {
    "integers": {"least": -(2**63), "most": 2**63 - 1, "zero": 0, "exact": 2**53 + 1},
    "floats": {
        "tiny": 5e-324,
        "huge": 1.7976931348623157e308,
        "third": 1 / 3,
        "minus zero": -0.0,
        "whole": 1.0,
    },
    "constants": {"yes": True, "no": False, "nothing": None},
    "texts": {f"text {n}": text for n, text in enumerate(ODD_TEXTS)},
    "keys": {text: n for n, text in enumerate(ODD_TEXTS)},
    "empty": {"object": {}, "array": [], "text": ""},
    "nested": {"a": [{"b": [[], [1, [2, {"c": None}]]]}]},
    "deep objects": nested(64),
    "deep lists": nested_lists(64),
}
NOT_JSON = {
    "nan": ({"x": math.nan}, ValueError),
    "infinity": ({"x": [math.inf]}, ValueError),
    "minus infinity": ({"x": {"y": -math.inf}}, ValueError),
    "lone surrogate": ({"x": "\ud800"}, ValueError),
    "lone surrogate in a list": ({"x": ["ok", "a\udfffb"]}, ValueError),
    "lone surrogate in a key": ({"\ud800": 1}, ValueError),
    "integer beyond 64 bits": ({"x": 2**63}, ValueError),
    "integer below 64 bits": ({"x": [-(2**63) - 1]}, ValueError),
    "too deep": (nested(65), ValueError),
    "lists too deep": (nested_lists(65), ValueError),
    "far too deep": (nested(5000), ValueError),
    "integer key": ({1: "x"}, TypeError),
    "None key": ({"x": {None: 1}}, TypeError),
    "tuple key": ({("a", "b"): 1}, TypeError),
    "bytes": ({"x": b"bytes"}, TypeError),
    "datetime": ({"x": datetime(2030, 1, 1, tzinfo=timezone.utc)}, TypeError),
    "date": ({"x": date(2030, 1, 1)}, TypeError),
    "set": ({"x": {1, 2}}, TypeError),
    "object": ({"x": object()}, TypeError),
    "function": ({"x": len}, TypeError),
    "complex": ({"x": 1j}, TypeError),
    "plain enum": ({"x": Plain.RED}, TypeError),
    "a list": ([1], TypeError),
    "a string": ("text", TypeError),
    "a number": (5, TypeError),
    "bytes alone": (b"{}", TypeError),
}


class TestAccepted:
    @pytest.mark.parametrize("name", JSON_VALUES)
    async def test_json_comes_back_the_same(self, queue, name):
        value = JSON_VALUES[name]

        job = await start_job(queue, data=value, metadata=value)
        await queue.complete(job.id, value, lease_token=job.lease_token)

        done = await get_job(queue, job.id)
        for stored in (job.data, job.metadata, done.data, done.metadata, done.results):
            assert stored == value
            assert repr(stored) == repr(value)  # 1 is not 1.0, and keys keep their order

    @pytest.mark.parametrize("name", JSON_VALUES)
    async def test_custom_updates_carry_any_json(self, queue, name):
        job = await start_job(queue)

        await Broadcaster(queue).send(job.id, data=JSON_VALUES[name])

        assert (await log_of(queue, job.id))[-1].data == JSON_VALUES[name]

    async def test_tuples_become_arrays_and_named_strings_plain_ones(self, queue):
        job = await make_job(queue, data={"pair": (1, (2,)), "colour": Colour.RED})

        assert job.data == {"pair": [1, [2]], "colour": "red"}
        assert type(job.data["colour"]) is str

    @pytest.mark.parametrize("text", ODD_TEXTS)
    async def test_any_text_is_a_message_a_reason_and_an_error(self, queue, text):
        job = await start_job(queue, max_attempts=3)
        await queue.update(job.id, 0.5, text)
        assert (await get_job(queue, job.id)).message == text
        await queue.fail(job.id, text, type=text, traceback=text, retry_in=0)
        (error,) = (await get_job(queue, job.id)).errors
        assert (error.message, error.type, error.traceback) == (text, text, text)
        await queue.cancel(job.id, text)
        assert (await get_job(queue, job.id)).error == text
        assert [update.error for update in await log_of(queue, job.id)][-2:] == [text, text]

    @pytest.mark.parametrize("name", ["a", "A.b_c:d-e", "0", "-", "x" * 128])
    async def test_names_are_1_to_128_plain_characters(self, queue, name):
        await queue.enqueue(name, job_id=name)

        job = await queue.claim([name], worker_id=name)

        assert job is not None
        assert (job.id, job.job_type, job.worker_id) == (name, name, name)

    @pytest.mark.parametrize("key", ["k", "order-42/é", "日本", "x" * 255, "!~"])
    async def test_unique_keys_are_1_to_255_visible_characters(self, queue, key):
        assert (await make_job(queue, unique_key=key)).unique_key == key

    @pytest.mark.parametrize("seconds", [0.001, 0.1, 1, 1.5, 16.1, 86_400 * 365])
    async def test_durations_are_seconds_to_the_millisecond(self, queue, clock, seconds):
        job = await make_job(queue, ttl=seconds, timeout=seconds, delay=seconds)

        assert (job.ttl, job.timeout) == (seconds, seconds)
        assert job.run_at == clock.time + timedelta(seconds=seconds)

    async def test_a_fraction_of_a_millisecond_is_never_early(self, queue, clock):
        job = await make_job(queue, delay=0.0101)

        assert job.run_at == clock.time + timedelta(seconds=0.011)

    async def test_instants_keep_their_millisecond(self, queue, clock):
        for millis in (7, 123, 999, 1001, 4_321):
            due = clock.time + timedelta(days=1, milliseconds=millis)
            assert (await make_job(queue, run_at=due)).run_at == due


class TestCopies:
    async def test_changing_a_job_that_was_read_changes_nothing_stored(self, queue):
        job = await start_job(queue, data={"to": ["ada"]}, metadata={"tags": {"a": 1}}, max_attempts=2)
        await queue.fail(job.id, "boom", lease_token=job.lease_token, retry_in=0)
        claimed = await claim_job(queue)
        await queue.complete(job.id, {"rows": [1]}, lease_token=claimed.lease_token)
        before = (await get_job(queue, job.id)).model_copy(deep=True)

        for read in (
            job,
            claimed,
            await get_job(queue, job.id),
            (await queue.list_jobs()).items[0],
            (await queue.submit(NewJob(job_type="email", job_id=job.id, data={"to": ["ada"]}))).job,
            await queue.wait(job.id),
        ):
            read.data["to"].append("bob")
            read.metadata["tags"].clear()
            read.errors.clear()
            if read.results is not None:
                read.results["rows"].append(2)

        assert await queue.get(job.id) == before

    async def test_changing_what_was_given_changes_nothing_stored(self, queue):
        job = await start_job(queue)
        results = {"rows": [1]}
        await queue.complete(job.id, results, lease_token=job.lease_token)

        results["rows"].append(2)

        assert (await get_job(queue, job.id)).results == {"rows": [1]}

    async def test_changing_counts_changes_nothing_stored(self, queue):
        await queue.enqueue("email")
        counts = await queue.counts()
        counts["email"]["pending"] = 99
        counts.clear()

        assert await queue.counts() == {"email": {"pending": 1}}

    async def test_a_job_cannot_be_assigned_to(self, queue):
        job = await make_job(queue)

        with pytest.raises(ValueError, match="frozen"):
            job.status = "complete"


class TestRefused:
    @pytest.mark.parametrize("field", ["data", "metadata"])
    @pytest.mark.parametrize("name", NOT_JSON)
    async def test_what_is_not_json_is_not_enqueued(self, queue, field, name):
        value, error = NOT_JSON[name]

        with pytest.raises(error, match=field):
            await queue.enqueue("email", **{field: value})

        assert await queue.counts() == {}

    @pytest.mark.parametrize("name", NOT_JSON)
    async def test_what_is_not_json_is_no_result(self, queue, name):
        job = await start_job(queue)
        value, error = NOT_JSON[name]
        before = await queue.get(job.id)

        with pytest.raises(error, match="results"):
            await queue.complete(job.id, value, lease_token=job.lease_token)

        assert await queue.get(job.id) == before

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("job_type", "", ValueError),
            ("job_type", "x" * 129, ValueError),
            ("job_type", "no blanks", ValueError),
            ("job_type", "é", ValueError),
            ("job_type", "a\n", ValueError),
            ("job_type", "a/b", ValueError),
            ("job_type", None, TypeError),
            ("job_type", 5, TypeError),
            ("job_id", "", ValueError),
            ("job_id", "x" * 129, ValueError),
            ("job_id", "a b", ValueError),
            ("job_id", "a\n", ValueError),
            ("job_id", 5, TypeError),
            ("priority", "urgent", ValueError),
            ("priority", "HIGH", ValueError),
            ("priority", 10, ValueError),
            ("priority", None, ValueError),
            ("ttl", 0, ValueError),
            ("ttl", -1, ValueError),
            ("ttl", math.nan, ValueError),
            ("ttl", math.inf, ValueError),
            ("ttl", "60", TypeError),
            ("ttl", True, TypeError),
            ("delay", -0.001, ValueError),
            ("delay", math.nan, ValueError),
            ("delay", math.inf, ValueError),
            ("delay", 1e300, ValueError),
            ("delay", "5", TypeError),
            ("delay", True, TypeError),
            ("delay", timedelta(seconds=5), TypeError),
            ("run_at", datetime(2030, 1, 1), ValueError),  # noqa: DTZ001 - a naive one is the test
            ("run_at", "2030-01-01T00:00:00Z", TypeError),
            ("run_at", 1_893_456_000, TypeError),
            ("timeout", 0, ValueError),
            ("timeout", -5, ValueError),
            ("timeout", math.inf, ValueError),
            ("timeout", "5", TypeError),
            ("timeout", True, TypeError),
            ("max_attempts", 0, ValueError),
            ("max_attempts", -1, ValueError),
            ("max_attempts", 10**30, ValueError),
            ("max_attempts", 1.0, TypeError),
            ("max_attempts", "3", TypeError),
            ("max_attempts", True, TypeError),
            ("max_lost", 0, ValueError),
            ("max_lost", -1, ValueError),
            ("max_lost", 1.5, TypeError),
            ("retry", {"max_attempts": 3}, TypeError),
            ("retry", 3, TypeError),
            ("unique_key", "", ValueError),
            ("unique_key", "a b", ValueError),
            ("unique_key", "a\n", ValueError),
            ("unique_key", "\x00", ValueError),
            ("unique_key", "\u200b", ValueError),
            ("unique_key", "\ud800", ValueError),
            ("unique_key", "x" * 256, ValueError),
            ("unique_key", 5, TypeError),
            ("unique_until", "done", ValueError),
            ("unique_until", None, ValueError),
            ("on_conflict", "ignore", ValueError),
            ("on_conflict", None, ValueError),
        ],
    )
    async def test_a_bad_option_is_named_and_nothing_is_stored(self, queue, field, value, error):
        options = {"job_type": "email", field: value}

        with pytest.raises(error, match=field) as refused:
            await queue.enqueue(**options)

        assert type(refused.value) is error
        assert await queue.counts() == {}
        assert await queue.claim() is None

    async def test_delay_and_run_at_exclude_each_other(self, queue, clock):
        with pytest.raises(ValueError, match="delay or run_at"):
            await queue.enqueue("email", delay=5, run_at=clock.time)

        assert await queue.counts() == {}

    async def test_a_message_does_not_echo_the_payload(self, queue):
        secret = "hunter2"

        with pytest.raises(TypeError) as refused:
            await queue.enqueue("email", {"password": [secret, b"x"]})

        assert secret not in str(refused.value)

    @pytest.mark.parametrize(
        ("progress", "error"),
        [
            (-0.001, ValueError),
            (1.001, ValueError),
            (math.nan, ValueError),
            (math.inf, ValueError),
            ("0.5", TypeError),
            (True, TypeError),
        ],
    )
    async def test_a_bad_progress_changes_nothing(self, queue, progress, error):
        job = await start_job(queue)
        before = await queue.get(job.id)

        with pytest.raises(error, match="progress"):
            await queue.update(job.id, progress, "message")

        assert await queue.get(job.id) == before

    @pytest.mark.parametrize(
        ("message", "error"), [(5, TypeError), (b"x", TypeError), ("\ud800", ValueError)]
    )
    async def test_a_bad_message_changes_nothing(self, queue, message, error):
        job = await start_job(queue)
        before = await queue.get(job.id)

        with pytest.raises(error, match="message"):
            await queue.update(job.id, 0.5, message)

        assert await queue.get(job.id) == before

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("error", None, TypeError),
            ("error", ValueError("boom"), TypeError),
            ("error", "\ud800", ValueError),
            ("type", 5, TypeError),
            ("type", ValueError, TypeError),
            ("traceback", 5, TypeError),
            ("traceback", "\ud800", ValueError),
            ("retry", 1, TypeError),
            ("retry", "yes", TypeError),
            ("retry_in", -1, ValueError),
            ("retry_in", math.nan, ValueError),
            ("retry_in", "5", TypeError),
        ],
    )
    async def test_a_bad_failure_changes_nothing(self, queue, field, value, error):
        job = await start_job(queue, max_attempts=3)
        before = await queue.get(job.id)

        with pytest.raises(error, match=field):
            await queue.fail(job.id, **{"error": "boom", field: value})

        assert await queue.get(job.id) == before

    @pytest.mark.parametrize(("reason", "error"), [(5, TypeError), ("\ud800", ValueError)])
    async def test_a_bad_reason_cancels_nothing(self, queue, reason, error):
        job = await make_job(queue)

        with pytest.raises(error, match="reason"):
            await queue.cancel(job.id, reason)

        assert await queue.get(job.id) == job

    @pytest.mark.parametrize(
        ("delay", "error"), [(-1, ValueError), (math.nan, ValueError), ("5", TypeError), (True, TypeError)]
    )
    async def test_a_bad_delay_releases_nothing(self, queue, delay, error):
        job = await start_job(queue)
        before = await queue.get(job.id)

        with pytest.raises(error, match="delay"):
            await queue.release(job.id, lease_token=job.lease_token, delay=delay)

        assert await queue.get(job.id) == before

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("job_types", "email", TypeError),
            ("job_types", [], ValueError),
            ("job_types", ["no blanks"], ValueError),
            ("job_types", [5], TypeError),
            ("worker_id", "no blanks", ValueError),
            ("worker_id", 5, TypeError),
            ("lease", 0, ValueError),
            ("lease", math.nan, ValueError),
            ("lease", "30", TypeError),
            ("wait", -1, ValueError),
            ("wait", "1", TypeError),
        ],
    )
    async def test_a_bad_claim_claims_nothing(self, queue, field, value, error):
        job = await make_job(queue)

        with pytest.raises(error, match=field):
            await queue.claim(**{field: value})

        assert await queue.get(job.id) == job

    @pytest.mark.parametrize(
        ("limit", "error"),
        [(0, ValueError), (-1, ValueError), (1001, ValueError), (2.0, TypeError), (None, TypeError)],
    )
    async def test_a_bad_limit_claims_nothing(self, queue, limit, error):
        job = await make_job(queue)

        with pytest.raises(error, match="limit"):
            await queue.claim_many(limit=limit)

        assert await queue.get(job.id) == job

    @pytest.mark.parametrize("job", [None, {"job_type": "email"}, "email"])
    async def test_only_a_new_job_is_submitted(self, queue, job):
        with pytest.raises(TypeError, match="job"):
            await queue.submit(job)

        assert await queue.counts() == {}


class TestLeases:
    @pytest.mark.parametrize(
        "leases", [5, [5], ["ab"], [("a",)], [("a", None)], [(1, "t")], [("a", "t", "x")]], ids=repr
    )
    async def test_what_is_no_lease_is_not_renewed(self, queue, leases):
        with pytest.raises(TypeError, match="leases must"):
            await queue.heartbeat(leases)


class TestOptions:
    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("default_ttl", 0, ValueError),
            ("default_ttl", "5", TypeError),
            ("lease", 0, ValueError),
            ("lease", 86_401, ValueError),
            ("lease", "30", TypeError),
            ("max_payload_bytes", 0, ValueError),
            ("max_payload_bytes", 1.5, TypeError),
            ("max_pending", -1, ValueError),
            ("max_pending", True, TypeError),
        ],
    )
    def test_a_bad_option_of_a_queue_is_named(self, make_queue, field, value, error):
        one = make_queue()

        with pytest.raises(error, match=field):
            make_queue(on=one, **{field: value})

    @pytest.mark.parametrize(
        ("namespace", "error"), [("", ValueError), ("no blanks", ValueError), (5, TypeError)]
    )
    def test_a_bad_namespace_is_named(self, make_queue, namespace, error):
        with pytest.raises(error, match="namespace"):
            make_queue(namespace=namespace)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_attempts", 0),
            ("max_attempts", True),
            ("base", -1),
            ("base", math.nan),
            ("factor", 0.5),
            ("factor", math.inf),
            ("cap", -1),
            ("jitter", 1.1),
            ("jitter", -0.1),
            ("unknown", 1),
        ],
    )
    def test_a_bad_field_of_a_retry_policy_is_named(self, field, value):
        with pytest.raises(ValueError, match=field):
            RetryPolicy(**{field: value})

    @pytest.mark.parametrize(
        ("field", "value"),
        [("job_type", None), ("data", [1]), ("priority", "urgent"), ("surprise", 1), ("on_conflict", "x")],
    )
    def test_a_bad_field_of_a_new_job_is_named(self, field, value):
        with pytest.raises(ValueError, match=field):
            NewJob(**{"job_type": "email", field: value})

    async def test_a_valid_new_job_may_still_be_refused_when_it_is_stored(self, queue):
        for field, value in [("job_type", "no blanks"), ("ttl", -1), ("unique_key", "a b"), ("job_id", "")]:
            with pytest.raises(ValueError, match=field):
                await queue.submit(NewJob(**{"job_type": "email", field: value}))

        assert await queue.counts() == {}

    def test_weights_and_values_are_the_guides(self):
        assert {priority.value: priority.weight for priority in JobPriority} == {
            "low": 1,
            "normal": 5,
            "high": 10,
        }
