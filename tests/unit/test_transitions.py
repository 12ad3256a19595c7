"""The guards and effects of every transition."""

from __future__ import annotations

import json

import pytest

from jdobb_async_queue.models import Outcome
from jdobb_async_queue.records import JobRecord
from jdobb_async_queue.transitions import (
    MAX_ERRORS,
    AttemptFailure,
    Transition,
    advance,
    announce,
    check,
    start,
)
from tests.support.records import NOW, WEEK, make_record, make_started

BOOM = AttemptFailure("boom", "ValueError", "line 1")
OK, REPEATED, UNKNOWN, TERMINAL, STALE = (
    Outcome.OK,
    Outcome.REPEATED,
    Outcome.UNKNOWN,
    Outcome.TERMINAL,
    Outcome.STALE,
)
STATES = ("pending", "processing", "complete", "failed", "cancelled")


def in_state(state: str) -> JobRecord:
    if state == "pending":
        return make_record()
    record = make_started()
    if state == "processing":
        return record
    change = {
        "complete": Transition.complete("job-1", None, WEEK, lease_token="token"),
        "failed": Transition.fail("job-1", BOOM, WEEK, lease_token="token"),
        "cancelled": Transition.cancel("job-1", None, WEEK),
    }[state]
    return advance(record, change, NOW)[0]


def transitions(token: str | None) -> dict[str, Transition]:
    return {
        "update": Transition.report("job-1", 0.5, None, lease_token=token),
        "complete": Transition.complete("job-1", None, WEEK, lease_token=token),
        "fail": Transition.fail("job-1", BOOM, WEEK, lease_token=token),
        "retry_later": Transition.retry_later("job-1", BOOM, 5, lease_token=token),
    }


class TestCheck:
    @pytest.mark.parametrize("verb", transitions(None))
    @pytest.mark.parametrize("state", STATES)
    def test_without_a_token_live_jobs_may_be_settled(self, verb, state):
        expected = OK if state in {"pending", "processing"} else TERMINAL

        assert check(in_state(state), transitions(None)[verb]) is expected

    @pytest.mark.parametrize("verb", transitions(None))
    @pytest.mark.parametrize("state", STATES)
    def test_a_wrong_token_is_stale(self, verb, state):
        assert check(in_state(state), transitions("other")[verb]) is STALE

    @pytest.mark.parametrize(
        ("state", "verb", "expected"),
        [
            ("processing", "update", OK),
            ("processing", "complete", OK),
            ("processing", "fail", OK),
            ("complete", "complete", REPEATED),
            ("complete", "fail", STALE),
            ("complete", "update", STALE),
            ("failed", "fail", REPEATED),
            ("failed", "retry_later", REPEATED),
            ("failed", "complete", STALE),
            ("cancelled", "complete", STALE),
            ("cancelled", "fail", STALE),
            ("cancelled", "update", STALE),
        ],
    )
    def test_the_owners_token(self, state, verb, expected):
        assert check(in_state(state), transitions("token")[verb]) is expected

    @pytest.mark.parametrize("state", STATES)
    def test_cancelling_and_retrying(self, state):
        live = state in {"pending", "processing"}

        assert check(in_state(state), Transition.cancel("job-1", None, WEEK)) is (OK if live else TERMINAL)
        assert check(in_state(state), Transition.retry("job-1")) is (
            OK if state in {"failed", "cancelled"} else TERMINAL
        )

    def test_only_the_holder_releases(self):
        assert check(in_state("processing"), Transition.release("job-1", lease_token="token")) is OK
        assert check(in_state("processing"), Transition.release("job-1", lease_token="other")) is STALE
        assert check(in_state("pending"), Transition.release("job-1", lease_token="token")) is STALE

    def test_a_repeated_release_is_known(self):
        released, _ = advance(in_state("processing"), Transition.release("job-1", lease_token="token"), NOW)

        assert check(released, Transition.release("job-1", lease_token="token")) is REPEATED
        assert check(released, Transition.release("job-1", lease_token="other")) is STALE

    def test_a_job_that_is_not_there_is_unknown(self):
        assert check(None, Transition.cancel("job-1", None, WEEK)) is UNKNOWN

    def test_a_version_must_be_the_one_decided_on(self):
        record = make_record(version=3)

        assert check(record, Transition.fail("job-1", BOOM, WEEK, version=3)) is OK
        assert check(record, Transition.fail("job-1", BOOM, WEEK, version=2)) is STALE

    def test_a_rescue_is_fenced_by_the_token_it_saw(self):
        record = make_started()
        seen = Transition.rescue(record)
        released, _ = advance(record, Transition.release("job-1", lease_token="token"), NOW)
        again, _ = start(released, "token-2", 10_000, None, NOW)

        assert check(record, seen) is OK
        assert check(released, seen) is STALE
        assert check(again, seen) is STALE

    def test_an_expiry_meets_pending_jobs_only(self):
        record = make_record(ttl=5, start_by=NOW)
        change = Transition.expire(record, "expired", WEEK)

        assert check(record, change) is OK
        assert check(in_state("processing"), change) is TERMINAL


class TestAdvance:
    @pytest.mark.parametrize("state", STATES)
    @pytest.mark.parametrize("verb", transitions(None))
    def test_the_old_record_is_never_changed(self, state, verb):
        record = in_state(state)
        before = record.copy()

        advance(record, transitions(None)[verb], NOW + 5)

        assert record == before

    def test_a_start(self):
        record = make_record(ttl=5, start_by=NOW + 5, progress=0.5, message="waiting", error="old")

        new, update = start(record, "token", 10_000, "worker-1", NOW + 3)

        assert (new.status, new.attempt, new.version, new.worker_id) == ("processing", 1, 2, "worker-1")
        assert (new.started_at, new.lease_expires_at, new.start_by) == (NOW + 3, NOW + 10_003, None)
        assert (new.progress, new.message, new.error) == (0.0, None, None)
        assert (update.kind, update.status, update.attempt, update.seq) == (
            "status",
            "processing",
            1,
            new.last_seq,
        )

    def test_a_terminal_move(self):
        record = make_started(unique_key="k", holds_key=True)

        new, update = advance(record, Transition.fail("job-1", BOOM, WEEK, lease_token="token"), NOW + 7)

        assert (new.status, new.error, new.completed_at, new.prune_at) == (
            "failed",
            "boom",
            NOW + 7,
            NOW + 2007,
        )
        assert (new.holds_key, new.lease_token, new.lease_expires_at) == (False, None, None)
        assert (new.failures, new.version) == (1, record.version + 1)
        assert json.loads(new.errors) == [
            {
                "attempt": 1,
                "type": "ValueError",
                "message": "boom",
                "traceback": "line 1",
                "at": (NOW + 7) / 1000,
            }
        ]
        assert (update.status, update.error) == ("failed", "boom")

    def test_a_completion_has_results_and_full_progress(self):
        change = Transition.complete("job-1", b'{"a":1}', WEEK, lease_token="token")

        new, update = advance(make_started(), change, NOW)

        assert (new.status, new.results, new.progress, new.error) == ("complete", b'{"a":1}', 1.0, None)
        assert (update.progress, update.results) == (1.0, None)

    def test_a_backoff_waits_from_now(self):
        change = Transition.retry_later("job-1", BOOM, 5000, lease_token="token")

        new, update = advance(make_started(), change, NOW + 7)

        assert (new.status, new.run_at, new.failures, new.completed_at) == ("pending", NOW + 5007, 1, None)
        assert (update.status, update.error, new.error) == ("pending", "boom", None)

    def test_a_release_keeps_the_place_and_a_snooze_does_not(self):
        record = make_started(run_at=NOW - 100)

        released, _ = advance(record, Transition.release("job-1", lease_token="token"), NOW)
        snoozed, _ = advance(record, Transition.release("job-1", lease_token="token", delay=50), NOW)

        assert (released.run_at, snoozed.run_at) == (NOW - 100, NOW + 50)
        assert (released.failures, released.errors) == (0, None)

    def test_a_rescue_counts_a_loss_and_notes_it(self):
        record = make_started(run_at=NOW - 100)

        new, _ = advance(record, Transition.rescue(record), NOW + 7)

        assert (new.status, new.losses, new.failures, new.run_at) == ("pending", 1, 0, NOW - 100)
        assert json.loads(new.errors)[0]["type"] == "LeaseLost"

    def test_a_retry_begins_anew(self):
        record = in_state("failed")
        record = advance(
            make_started(ttl=5000, unique_key="k", message="m"),
            Transition.fail("job-1", BOOM, WEEK, lease_token="token"),
            NOW,
        )[0]

        new, update = advance(record, Transition.retry("job-1"), NOW + 7)

        assert (new.status, new.run_at, new.start_by) == ("pending", NOW + 7, NOW + 5007)
        assert (new.failures, new.losses, new.attempt) == (0, 0, 1)
        assert (new.message, new.results, new.error) == (None, None, None)
        assert (new.completed_at, new.prune_at, new.holds_key) == (None, None, True)
        assert new.errors == record.errors
        assert update.error is None

    def test_a_retry_without_a_key_holds_none(self):
        assert advance(in_state("failed"), Transition.retry("job-1"), NOW)[0].holds_key is False

    def test_a_report_of_nothing_new_is_no_change(self):
        record = make_started()
        record.progress = 0.5

        new, update = advance(record, Transition.report("job-1", 0.4, None), NOW + 7)

        assert update is None
        assert new == record

    def test_a_report_with_the_token_renews_the_lease_even_so(self):
        record = make_started()

        new, update = advance(record, Transition.report("job-1", None, None, lease_token="token"), NOW + 7)

        assert update is None
        assert (new.lease_expires_at, new.version, new.updated_at) == (NOW + 10_007, record.version, NOW)

    @pytest.mark.parametrize(
        "change",
        [
            Transition.log("job-1", "a line", lease_token="token"),
            Transition.send("job-1", 0.9, "hello", b"{}"),
        ],
        ids=["log", "send"],
    )
    def test_logs_and_custom_updates_leave_the_record_alone(self, change):
        record = make_started()

        new, update = advance(record, change, NOW + 7)

        assert update is not None
        assert new.last_seq == update.seq > record.last_seq
        new.last_seq = record.last_seq
        assert new == record

    def test_the_last_errors_are_kept(self):
        record = make_started()
        for _ in range(MAX_ERRORS + 5):
            record, _ = advance(record, Transition.retry_later("job-1", BOOM, 0), NOW)
            record, _ = start(record, "token", 10_000, None, NOW)

        attempts = [error["attempt"] for error in json.loads(record.errors)]
        assert attempts == list(range(6, MAX_ERRORS + 6))

    def test_settling_remembers_the_call_that_carried_the_token_only(self):
        by_owner, _ = advance(
            make_started(), Transition.complete("job-1", None, WEEK, lease_token="token"), NOW
        )
        by_hand, _ = advance(make_started(), Transition.complete("job-1", None, WEEK), NOW)

        assert (by_owner.settled, by_hand.settled) == ("complete token", None)


class TestAnnounce:
    def test_seq_is_the_clock_in_microseconds(self):
        assert announce(make_record(), NOW).seq == NOW * 1000

    def test_seq_grows_within_a_millisecond_and_when_the_clock_goes_back(self):
        record = make_record()

        seqs = [announce(record, now).seq for now in (NOW, NOW, NOW - 5000, NOW + 1)]

        assert seqs == [NOW * 1000, NOW * 1000 + 1, NOW * 1000 + 2, NOW * 1000 + 1000]

    def test_what_is_not_said_is_the_records(self):
        record = make_record(progress=0.5, message="half", error="old")

        update = announce(record, NOW, "custom", message="hello")

        assert (update.progress, update.message, update.error) == (0.5, "hello", "old")
