from __future__ import annotations

from collections import Counter

import pytest

from jdobb_async_queue.backends import history
from jdobb_async_queue.backends.history import DAY, HOUR, MINUTE, Ledger, bucket, quantile
from jdobb_async_queue.transitions import AttemptFailure, Transition, advance
from tests.support.records import NOW, WEEK, make_record, make_started


@pytest.mark.parametrize("seconds", [0.001, 0.05, 1, 7.5, 60, 3600, 86_400 * 30])
def test_a_duration_is_told_to_a_fifth(seconds):
    told = quantile(Counter([bucket(int(seconds * 1000))]), 0.5)

    assert told == pytest.approx(seconds, rel=0.2, abs=0.001)


def test_nothing_has_no_quantile():
    assert quantile(Counter(), 0.5) is None


def test_a_duration_of_nothing_or_less_is_the_least():
    assert bucket(0) == bucket(-5) == 0


def test_the_median_lies_in_the_middle():
    buckets = Counter(bucket(seconds * 1000) for seconds in range(1, 102))

    assert quantile(buckets, 0.5) == pytest.approx(51, rel=0.2)
    assert quantile(buckets, 0.95) == pytest.approx(96, rel=0.2)
    assert quantile(buckets, 1.0) == pytest.approx(101, rel=0.2)


def failed(job_id: str, at: int, error: str = "ValueError") -> tuple:
    record = make_started(id=job_id)
    failure = AttemptFailure(f"boom of {job_id}", error)
    return record, advance(record, Transition.fail(job_id, failure, WEEK), at)[0], failure


class TestLedger:
    def test_an_empty_one_is_false(self):
        ledger = Ledger()
        assert not ledger

        ledger.stored(make_record())

        assert ledger

    def test_progress_is_no_move(self):
        ledger = Ledger()
        record = make_started()

        ledger.moved(record, advance(record, Transition.report("job-1", 0.5, None), NOW)[0])

        assert not ledger

    def test_moves_are_counted_by_minute(self):
        ledger = Ledger()
        for at in (NOW, NOW + MINUTE - 1, NOW + MINUTE):
            ledger.moved(*failed("a", at))

        assert [(point.minute.minute, point.failed) for point in ledger.points(0)] == [(0, 2), (1, 1)]

    def test_errors_are_grouped_over_the_hours(self):
        ledger = Ledger()
        ledger.moved(*failed("late", NOW + HOUR))
        ledger.moved(*failed("early", NOW))
        ledger.moved(*failed("other", NOW, "OSError"))

        first, second = ledger.groups(0)
        assert (first.type, first.count, first.last_job_id, first.last_message) == (
            "ValueError",
            2,
            "late",
            "boom of late",
        )
        assert (second.type, second.count) == ("OSError", 1)

    def test_what_is_old_is_forgotten(self):
        ledger = Ledger()
        ledger.moved(*failed("a", NOW))

        ledger.forget(NOW + DAY)
        assert ledger
        ledger.forget(NOW + DAY + HOUR + MINUTE)
        assert not ledger

    def test_what_is_old_leaves_as_new_figures_come(self):
        ledger = Ledger()
        for day in range(5):
            ledger.moved(*failed("a", NOW + day * 2 * DAY))

        assert (len(ledger.tallies), len(ledger.errors)) == (1, 1)

    def test_names_that_callers_make_up_do_not_pile_up(self, monkeypatch):
        monkeypatch.setattr(history, "MOST_TALLIES", 20)
        monkeypatch.setattr(history, "MOST_ERRORS", 10)
        ledger = Ledger()
        for number in range(100):
            ledger.stored(make_record(job_type=f"type-{number}"))
            ledger.moved(*failed("a", NOW, error=f"Error{number}"))

        assert (len(ledger.tallies), len(ledger.errors)) == (20, 10)
        assert ledger.groups(NOW)[0].type == "Error90"

    def test_two_are_merged(self):
        one, other = Ledger(), Ledger()
        one.moved(*failed("a", NOW))
        other.moved(*failed("b", NOW + 5))

        one.merge(other)

        assert one.points(0)[0].failed == 2
        (group,) = one.groups(0)
        assert (group.count, group.last_job_id) == (2, "b")
