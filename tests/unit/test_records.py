from __future__ import annotations

import json

import pytest

from jdobb_async_queue import RetryPolicy
from jdobb_async_queue.records import DEFAULT_SETTINGS, Settings, resolve_settings
from tests.support.records import NOW, make_new, make_record


def layer(**settings) -> bytes:
    return json.dumps(settings).encode()


class TestSettings:
    def test_without_any_the_defaults_are_in_force(self):
        assert resolve_settings(None, None, None) is DEFAULT_SETTINGS
        assert resolve_settings(None, b"{}", b"{}") == DEFAULT_SETTINGS
        assert (DEFAULT_SETTINGS.retry, DEFAULT_SETTINGS.timeout, DEFAULT_SETTINGS.max_lost) == (
            RetryPolicy(),
            None,
            3,
        )

    def test_field_by_field_the_job_the_operator_the_publisher_decide(self):
        found = resolve_settings(
            layer(timeout=1),
            layer(timeout=2, max_lost=2),
            layer(timeout=3, max_lost=3, max_pending=3, schema={"type": "object"}),
        )

        assert (found.timeout, found.max_lost, found.max_pending) == (1, 2, 3)
        assert found.schema == {"type": "object"}

    def test_a_retry_policy_is_merged_too(self):
        found = resolve_settings(
            layer(retry={"max_attempts": 1}),
            layer(retry={"max_attempts": 2, "base": 2}),
            layer(retry={"max_attempts": 3, "base": 3, "factor": 3, "give_up_on": ["a"]}),
        )

        assert found.retry == RetryPolicy(max_attempts=1, base=2, factor=3, give_up_on=("a",))

    def test_what_a_later_release_wrote_is_left_out_of_account(self):
        found = resolve_settings(layer(retry={"max_attempts": 2, "budget": 5}, colour="red"), None, None)

        assert found == Settings(RetryPolicy(max_attempts=2))

    def test_looking_twice_gives_the_same(self):
        layers = (layer(retry={"base": 5}), layer(timeout=2), None)

        assert resolve_settings(*layers) == resolve_settings(*layers)

    def test_jobs_of_a_type_share_its_settings_and_leave_them_whole(self):
        operator, published = layer(retry={"base": 5}, schema={"type": "object"}), layer(retry={"factor": 3})

        found = [
            resolve_settings(layer(timeout=1, retry={"max_attempts": n}), operator, published)
            for n in (2, 3, 4)
        ]

        assert [(each.retry.max_attempts, each.retry.base, each.retry.factor) for each in found] == [
            (2, 5, 3),
            (3, 5, 3),
            (4, 5, 3),
        ]
        assert found[0].schema is found[1].schema is found[2].schema

    def test_the_schema_that_a_worker_published_wins_over_the_operators(self):
        operator, published = layer(schema={"type": "object"}), layer(schema={"required": ["to"]})

        assert resolve_settings(None, operator, published).schema == {"required": ["to"]}
        assert resolve_settings(None, operator, layer(timeout=1)).schema == {"type": "object"}


class TestNewRecord:
    @pytest.mark.parametrize(
        ("options", "run_at", "start_by"),
        [
            ({}, NOW, None),
            ({"ttl": 50}, NOW, NOW + 50),
            ({"delay": 100}, NOW + 100, None),
            ({"delay": 100, "ttl": 50}, NOW + 100, NOW + 150),
            ({"run_at": NOW + 70, "ttl": 50}, NOW + 70, NOW + 120),
            ({"run_at": NOW - 70, "ttl": 50}, NOW, NOW + 50),
        ],
    )
    def test_times_count_from_when_it_is_due(self, options, run_at, start_by):
        record = make_new(**options).to_record(NOW, 7)

        assert (record.run_at, record.start_by, record.created_at, record.seq) == (run_at, start_by, NOW, 7)

    def test_only_a_job_with_a_key_holds_one(self):
        assert not make_new().to_record(NOW, 1).holds_key
        assert make_new(unique_key="k").to_record(NOW, 1).holds_key

    def test_a_replacement_keeps_the_identity_and_takes_the_content(self):
        held = make_record(
            id="old", seq=3, version=5, attempt=2, failures=1, losses=1, errors=b"[1]", settled="fail t",
            last_seq=99, trimmed_seq=9, created_at=NOW - 50, progress=0.5, message="half", worker_id="w",
            started_at=NOW - 20,
        )  # fmt: skip
        new = make_new(id="new", data=b'{"n":2}', metadata=b'{"m":2}', priority=10, delay=30, ttl=10)

        replaced = new.replaced(held, NOW)

        assert (replaced.id, replaced.seq, replaced.created_at, replaced.version) == ("old", 3, NOW - 50, 6)
        assert (replaced.attempt, replaced.failures, replaced.losses, replaced.errors) == (2, 1, 1, b"[1]")
        assert (replaced.settled, replaced.last_seq, replaced.trimmed_seq) == ("fail t", 99, 9)
        assert (replaced.worker_id, replaced.started_at) == ("w", NOW - 20)
        assert (replaced.data, replaced.metadata, replaced.priority) == (b'{"n":2}', b'{"m":2}', 10)
        assert (replaced.run_at, replaced.start_by, replaced.updated_at) == (NOW + 30, NOW + 40, NOW)
        assert (replaced.progress, replaced.message) == (0.0, None)


def test_a_copy_is_equal_and_apart():
    record = make_record(message="a")

    copy = record.copy()
    copy.message = "b"

    assert (record.message, copy.id) == ("a", record.id)
    assert record.copy() == record
