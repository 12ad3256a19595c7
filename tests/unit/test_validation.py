from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import MappingProxyType

import pytest

from jdobb_async_queue import NewJob, RetryPolicy, validation
from jdobb_async_queue.clock import Ids
from jdobb_async_queue.models import instant
from jdobb_async_queue.records import Retention
from tests.support.clock import ManualClock
from tests.support.records import dice

EAST = timezone(timedelta(hours=9, minutes=30))


def test_names_lose_their_repeats_and_keep_their_order():
    assert validation.names(["b", "a", "b"], "job_types") == ("b", "a")
    assert validation.names(None, "job_types") is None
    assert validation.names((name for name in ("x", "y")), "job_types") == ("x", "y")


def test_a_refusal_names_the_field_the_expectation_and_the_value():
    with pytest.raises(ValueError, match=r"^limit must be a whole number from 1 to 200, got 999$"):
        validation.count(999, "limit", most=200)
    with pytest.raises(TypeError, match=r"^delay must be a number, got str$"):
        validation.seconds("5", "delay")


def test_a_refusal_does_not_repeat_a_long_value():
    with pytest.raises(ValueError, match="job_id") as refused:
        validation.name("x" * 100_000, "job_id")

    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(("value", "millis"), [(0.1, 100), (30, 30_000), (86_400, 86_400_000), (0.1234, 124)])
def test_a_lease_is_whole_milliseconds(value, millis):
    assert validation.lease_ms(value) == millis


def test_text_is_cut_to_its_limit():
    assert validation.text("abcdef", "message", 3) == "abc"
    assert validation.optional_text(None, "message", 3) is None


class TestInstants:
    @pytest.mark.parametrize("zone", [timezone.utc, EAST])
    def test_an_instant_is_milliseconds_since_the_epoch(self, zone):
        assert validation.at(datetime(2030, 1, 1, tzinfo=timezone.utc).astimezone(zone), "run_at") == (
            1_893_456_000_000
        )

    def test_a_fraction_rounds_up_or_down(self):
        value = datetime(2030, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc)

        assert validation.at(value, "run_at") == 1_893_456_000_001
        assert validation.at(value, "run_at", down=True) == 1_893_456_000_000

    def test_every_millisecond_comes_back_as_itself(self):
        rng = dice()
        some = [rng.randrange(-(10**12), 10**13) for _ in range(20_000)]

        assert [millis for millis in some if validation.at(instant(millis), "run_at") != millis] == []
        assert [
            millis for millis in some if validation.at(instant(millis), "run_at", down=True) != millis
        ] == []

    @pytest.mark.parametrize("value", [datetime.min, datetime.max])  # noqa: DTZ901 - given a zone below
    def test_the_ends_of_time_are_instants(self, value):
        assert isinstance(validation.at(value.replace(tzinfo=timezone.utc), "run_at"), int)


class TestRetention:
    def test_a_number_is_for_every_status(self):
        assert validation.retention(1.5) == Retention(1500, 1500, 1500)

    def test_none_is_for_ever(self):
        assert validation.retention(None) == Retention(None, None, None)

    def test_a_mapping_leaves_the_rest_at_a_week(self):
        assert validation.retention({"failed": None}) == Retention(604_800_000, None, 604_800_000)

    def test_any_mapping_will_do(self):
        assert validation.retention(MappingProxyType({"failed": 1})).failed == 1000

    @pytest.mark.parametrize(
        ("value", "error", "named"),
        [
            ("1", TypeError, "retention.complete"),
            (True, TypeError, "retention.complete"),
            ({"failed": "1"}, TypeError, "retention.failed"),
            ({"failed": -1}, ValueError, "retention.failed"),
            ({"failed": 10**5000}, ValueError, "retention.failed"),
            ({"done": 1}, ValueError, "'done'"),
            ({5: 1, "done": 1}, ValueError, "retention"),
        ],
        ids=["text", "bool", "status-text", "negative", "huge", "status", "kinds-of-status"],
    )
    def test_what_is_wrong_is_named(self, value, error, named):
        with pytest.raises(error, match=named):
            validation.retention(value)

    def test_it_says_when_a_job_goes(self):
        kept = Retention(10, 0, None)

        assert [kept.prune_at(status, 100) for status in ("complete", "failed", "cancelled")] == [
            110,
            100,
            None,
        ]


class TestSettings:
    def test_nothing_given_is_nothing_stored(self):
        assert validation.job_settings(None, None, None, None) is None
        assert validation.job_settings(None, RetryPolicy(), None, None) is None

    def test_only_what_was_given_is_stored(self):
        assert validation.job_settings(None, RetryPolicy(base=5), 3, None) == (
            b'{"retry": {"base": 5.0}, "timeout": 3.0}'
        )

    def test_max_attempts_wins_over_the_policys(self):
        stored = validation.job_settings(2, RetryPolicy(max_attempts=9), None, None)

        assert stored == b'{"retry": {"max_attempts": 2}}'

    def test_a_default_that_was_given_is_stored(self):
        assert validation.job_settings(None, RetryPolicy(max_attempts=1), None, 3) == (
            b'{"retry": {"max_attempts": 1}, "max_lost": 3}'
        )


class TestNewJobs:
    @pytest.fixture
    def jobs(self) -> validation.NewJobs:
        ids = Ids(ManualClock(), dice())
        return validation.NewJobs(ids, default_ttl=60, max_payload_bytes=100, max_pending=5)

    def test_a_plain_job(self, jobs):
        record = jobs.record(dict(NewJob(job_type="email")))

        assert (record.job_type, record.priority, record.data, record.metadata) == ("email", 5, b"{}", b"{}")
        assert (record.own_id, record.delay, record.run_at, record.settings) == (False, 0, None, None)
        assert (record.ttl, record.max_pending) == (60_000, 5)

    def test_a_rich_one(self, jobs):
        new = NewJob(
            job_type="email", job_id="a", priority="high", ttl=1.5, delay=0.5, max_lost=2, unique_key="k"
        )
        record = jobs.record(dict(new))

        assert (record.id, record.own_id, record.priority) == ("a", True, 10)
        assert (record.ttl, record.delay, record.settings) == (1500, 500, b'{"max_lost": 2}')
        assert (record.unique_key, record.unique_until, record.on_conflict) == ("k", "finished", "return")

    def test_what_the_service_stores_is_cut(self, jobs):
        record = jobs.record(dict(NewJob(job_type="email", request_id="r" * 999, traceparent="t" * 999)))

        assert (len(record.request_id), len(record.traceparent)) == (255, 255)


def test_a_map_of_text_is_sorted_pairs():
    assert validation.text_map({"b": "1", "a": "2"}, "metadata") == (("a", "2"), ("b", "1"))
    assert validation.text_map(None, "metadata") == validation.text_map({}, "metadata") == ()
