from __future__ import annotations

import pytest

from jdobb_async_queue.models import Job, instant
from jdobb_async_queue.records import TypeRecord
from jdobb_async_queue.transitions import AttemptFailure, Transition, advance
from jdobb_async_queue.views import job_type_view, job_view, snapshot, update_view
from tests.support.records import NOW, WEEK, make_record, make_started


def test_only_a_claim_shows_the_lease():
    record = make_started()

    assert (job_view(record).lease_token, job_view(record).lease_expires_at) == (None, None)
    claimed = job_view(record, claimed=True)
    assert (claimed.lease_token, claimed.lease_expires_at) == ("token", instant(NOW + 10_000))


def failed():
    failure = AttemptFailure("boom", "ValueError", "Traceback …")
    return advance(make_started(), Transition.fail("job-1", failure, WEEK), NOW)[0]


def completed():
    return advance(make_started(), Transition.complete("job-1", b'{"a":[1,null]}', WEEK), NOW)[0]


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize(
    "record",
    [
        make_record(),
        make_record(metadata=b'{"a":"b"}', ttl=1500, settings=b'{"timeout":30,"retry":{"max_attempts":2}}'),
        make_started(progress=0.5),
        failed(),
        completed(),
    ],
)
def test_a_shown_job_is_what_a_checked_one_would_be(record, claimed):
    shown = job_view(record, claimed=claimed)
    checked = Job(**{name: getattr(shown, name) for name in shown.model_fields_set})

    assert shown == checked
    assert shown.model_fields_set == checked.model_fields_set
    assert shown.model_dump_json() == checked.model_dump_json()
    assert [type(part) for part in vars(shown).values()] == [type(part) for part in vars(checked).values()]
    assert list(vars(shown)) == list(Job.model_fields)


@pytest.mark.parametrize("millis", range(0, 1000, 37))
def test_an_errors_instant_is_exact(millis):
    failure = AttemptFailure("boom")
    record, _ = advance(make_started(), Transition.fail("job-1", failure, WEEK), NOW + millis)

    job = job_view(record)

    assert job.errors[0].at == job.completed_at == instant(NOW + millis)


@pytest.mark.parametrize(("millis", "ttl"), [(None, None), (60_000, 60), (1500, 1.5)])
def test_a_ttl_of_whole_seconds_is_a_whole_number(millis, ttl):
    shown = job_view(make_record(ttl=millis)).ttl

    assert shown == ttl
    assert type(shown) is type(ttl)


def test_the_results_of_a_completion_are_the_jobs():
    record, update = advance(make_started(), Transition.complete("job-1", b'{"a":1}', WEEK), NOW)

    assert update_view(record, update).results == {"a": 1}


def test_the_results_of_a_custom_update_are_its_own():
    record, update = advance(make_started(), Transition.send("job-1", None, None, b'{"a":1}'), NOW)
    completed, _ = advance(record, Transition.complete("job-1", b'{"b":2}', WEEK), NOW)

    assert update_view(completed, update).data == {"a": 1}


def test_a_snapshot_has_the_seq_of_the_latest_update():
    record = make_started(progress=0.0)

    assert snapshot(record).seq == record.last_seq
    assert not snapshot(record).gap
    assert snapshot(record, gap=True).gap
    assert snapshot(make_record()).seq == 0


@pytest.mark.parametrize(("until", "paused"), [(None, True), (NOW + 1, True), (NOW, False), (NOW - 1, False)])
def test_a_pause_shows_until_its_end(until, paused):
    stored = TypeRecord("email", paused=True, pause_reason="down", pause_until=until)

    shown = job_type_view(stored, NOW)

    assert (shown.paused, shown.pause_reason) == (paused, "down" if paused else None)
