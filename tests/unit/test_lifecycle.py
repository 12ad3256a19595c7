"""The only place where retry or fail is decided."""

from __future__ import annotations

import json

import pytest

from jdobb_async_queue.lifecycle import (
    Completed,
    Failed,
    Released,
    expire,
    millis,
    rescue,
    same_content,
    settle,
)
from jdobb_async_queue.transitions import AttemptFailure
from tests.support.records import WEEK, dice, make_new, make_record, make_started

BOOM = AttemptFailure("boom", "ValueError")


def settings(**fields) -> bytes:
    retry = {"max_attempts": 3, "base": 2, "factor": 2, "cap": 100, "jitter": 0}
    return json.dumps({"retry": retry | fields}).encode()


def settled(outcome, **fields):
    return settle(outcome, make_started(**fields), WEEK, dice(), lease_token="token")


@pytest.mark.parametrize(
    ("failures", "given_up", "retry", "retry_in", "status", "delay"),
    [
        # failures before, policy gives up, retry, retry_in -> status, delay in ms
        (0, False, None, None, "pending", 2000),
        (1, False, None, None, "pending", 4000),
        (2, False, None, None, "failed", None),
        (5, False, None, None, "failed", None),
        (0, False, None, 7.5, "pending", 7500),
        (2, False, None, 7.5, "failed", None),
        (0, False, False, None, "failed", None),
        (0, False, False, 7.5, "failed", None),
        (0, False, True, None, "pending", 2000),
        (2, False, True, None, "failed", None),
        (0, True, None, None, "failed", None),
        (0, True, True, None, "pending", 2000),
        (0, True, None, 7.5, "pending", 7500),
        (0, True, False, None, "failed", None),
        (2, True, True, 7.5, "failed", None),
        (0, False, None, 0, "pending", 0),
    ],
)
def test_a_failed_attempt(failures, given_up, retry, retry_in, status, delay):
    own = settings(give_up_on=["ValueError"] if given_up else [])
    outcome = Failed(BOOM, ("ValueError",), retry, retry_in)

    change = settled(outcome, failures=failures, settings=own)

    assert (change.status, change.delay, change.failure) == (status, delay, BOOM)
    assert (change.verb, change.lease_token, change.version) == ("fail", "token", None)
    if status == "failed":
        assert (change.error, change.retention) == ("boom", WEEK)


def test_an_attempt_can_be_failed_for_good_whatever_the_settings_are():
    broken = b'{"retry": {"max_attempts": "many"}}'

    assert settled(Failed(BOOM, retry=False), settings=broken).status == "failed"


def test_without_settings_the_first_failure_is_final():
    assert settled(Failed(BOOM)).status == "failed"


def test_a_completed_attempt_has_its_results():
    change = settled(Completed(b'{"a":1}'))

    assert (change.verb, change.status, change.results) == ("complete", "complete", b'{"a":1}')
    assert (change.lease_token, change.retention) == ("token", WEEK)


@pytest.mark.parametrize(("delay", "expected"), [(None, None), (0, 0), (1.5, 1500)])
def test_a_released_attempt_goes_back(delay, expected):
    change = settled(Released(delay))

    assert (change.verb, change.status, change.delay) == ("release", "pending", expected)
    assert change.failure is None


def test_a_failure_by_hand_is_guarded_by_the_version_it_was_decided_on():
    record = make_record(version=7)

    change = settle(Failed(BOOM), record, WEEK, dice())

    assert (change.lease_token, change.version) == (None, 7)


def test_the_delay_is_jittered_by_the_given_source():
    own = settings(jitter=0.5)
    record = make_started(settings=own)

    delays = {settle(Failed(BOOM), record, WEEK, dice(n), lease_token="t").delay for n in range(50)}

    assert len(delays) > 30
    assert all(1000 <= delay <= 3001 for delay in delays)


@pytest.mark.parametrize(
    ("losses", "max_lost", "status"),
    [
        (0, None, "pending"),
        (1, None, "pending"),
        (2, None, "failed"),
        (0, 1, "failed"),
        (3, 5, "pending"),
        (9, 5, "failed"),
    ],
)
def test_a_lost_lease(losses, max_lost, status):
    own = None if max_lost is None else json.dumps({"max_lost": max_lost}).encode()

    change = rescue(make_started(losses=losses, settings=own), WEEK)

    assert (change.verb, change.status, change.lease_token) == ("rescue", status, "token")
    assert change.error == (f"lease lost {losses + 1} times" if status == "failed" else None)
    assert change.delay is None


@pytest.mark.parametrize(("ttl", "text"), [(1500, "1.5 s"), (60_000, "60 s"), (1, "0.001 s")])
def test_an_expiry_says_how_long_the_job_could_wait(ttl, text):
    change = expire(make_record(ttl=ttl), WEEK)

    assert (change.verb, change.status) == ("expire", "failed")
    assert change.error == f"expired: not started within {text}"


@pytest.mark.parametrize(
    ("job_type", "data", "same"),
    [
        ("email", b'{"a":1,"b":2}', True),
        ("email", b'{"b":2,"a":1}', True),
        ("report", b'{"a":1,"b":2}', False),
        ("email", b'{"a":1,"b":3}', False),
        ("email", b"{}", False),
    ],
)
def test_the_same_content_is_the_same_type_and_equal_data(job_type, data, same):
    record = make_record(data=b'{"a":1,"b":2}')

    assert same_content(record, make_new(job_type=job_type, data=data)) is same


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, 0),
        (1, 1000),
        (0.001, 1),
        (0.0001, 1),
        (16.1, 16_100),
        (0.29, 290),
        (1.0005, 1001),
        (3.2e9, 3_200_000_000_000),
    ],
)
def test_durations_round_up_to_whole_milliseconds(seconds, expected):
    assert millis(seconds) == expected


def test_every_whole_millisecond_stays_itself():
    assert [n for n in range(1, 100_000) if millis(n / 1000) != n] == []
