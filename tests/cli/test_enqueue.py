"""``jdobb enqueue``: the same at a store and at a service."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from jdobb_async_queue import Job
from tests.cli.command import Done, Jdobb

JOB_FIELDS = set(Job.model_fields) - {"lease_token", "lease_expires_at"}
DELAYED = ("--delay", "1000")


def refused(done: Done) -> str:
    """Return the one line with which the command refused its arguments."""
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    return done.err


def test_it_prints_the_id_alone(place: Jdobb):
    done = place("enqueue", "later", *DELAYED)
    assert (done.code, done.err) == (0, "")
    assert place("get", done.out.strip(), "--json").json["job_type"] == "later"


def test_json_is_the_job_with_all_its_fields(place: Jdobb):
    job = place("enqueue", "later", '{"to": "Ada ☺"}', *DELAYED, "--json").json
    assert set(job) == JOB_FIELDS
    assert job["data"] == {"to": "Ada ☺"}


def test_its_options_arrive_in_the_job(place: Jdobb, new_id: Callable[[], str]):
    options = {
        "priority": "high", "ttl": "60", "timeout": "5.5", "max-attempts": "4", "max-lost": "2",
        "unique-key": new_id(), "run-at": "2040-01-31T08:00:00+02:00", "id": new_id(),
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    job = place("enqueue", "later", *words, "--metadata", "a=1", "--metadata", "b=x=y", "--json").json
    assert job["priority"] == "high"
    assert (job["ttl"], job["timeout"]) == (60, 5.5)
    assert (job["max_attempts"], job["max_lost"]) == (4, 2)
    assert (job["unique_key"], job["id"]) == (options["unique-key"], options["id"])
    assert job["run_at"] == "2040-01-31T06:00:00Z"
    assert job["metadata"] == {"a": "1", "b": "x=y"}


def test_data_comes_from_a_file_or_from_standard_input(place: Jdobb):
    place.folder.joinpath("mail.json").write_text('{"from": "file"}')
    assert place("enqueue", "later", "@mail.json", *DELAYED, "--json").json["data"] == {"from": "file"}
    piped = place.process("enqueue", "later", "-", *DELAYED, "--json", stdin='{"from": "pipe ü"}')
    assert piped.json["data"] == {"from": "pipe ü"}


@pytest.mark.parametrize(
    ("data", "stdin", "complaint"),
    [
        ('{"to": ', "", "data is not JSON: Expecting value at line 1, column 8"),
        ("-", "nothing", "data on standard input is not JSON: Expecting value at line 1, column 1"),
        ("-", b'{"a": "\xff"}', "data on standard input is not UTF-8 at byte 7"),
        ("[1]", "", 'data must be a JSON object such as {"to": "ada"}, got list'),
        ('{"a": 1, "a": 2}', "", "a name occurs twice"),
        ('{"a": NaN}', "", "NaN is not a JSON number"),
        ("@absent.json", "", "data in absent.json cannot be read: No such file or directory"),
        ("@", "", "data in a file needs its name, such as @job.json"),
        ("[" * 100_000, "", "data is nested too deep"),
    ],
)
def test_data_that_is_no_json_object_is_refused(jdobb: Jdobb, data: str, stdin: str | bytes, complaint: str):
    assert complaint in refused(jdobb.process("enqueue", "later", data, stdin=stdin))
    assert not jdobb.folder.joinpath("jdobb.db").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["bad type"], "job_type"),
        (["later", "--delay", "-1"], "delay"),
        (["later", "--ttl", "nan"], "ttl"),
        (["later", "--max-attempts", "0"], "max_attempts"),
        (["later", "--unique-key", "two words"], "unique_key"),
        (["later", "--delay", "1", "--run-at", "2040-01-01T00:00:00Z"], "delay"),
        (["later", "--run-at", "tomorrow"], "--run-at must be a time such as 2030-01-31T12:00:00Z"),
        (["later", "--metadata", "plain"], "--metadata must be NAME=VALUE, got 'plain'"),
        (["later", "--wait", "--watch"], "give either --wait or --watch"),
        (["later", '{"a": 123456789012345678901234567890}'], "data"),
        (["later", '{"a": "\\ud800"}'], "data"),
    ],
)
def test_what_a_job_cannot_be_is_refused_in_a_line_that_names_it(
    place: Jdobb, words: list[str], complaint: str
):
    assert complaint in refused(place("enqueue", *words))


def test_values_outside_a_choice_are_refused(jdobb: Jdobb):
    done = jdobb("enqueue", "later", "--priority", "urgent")
    assert (done.code, done.out) == (2, "")
    assert "urgent" in done.err


def test_an_id_may_be_repeated_with_the_same_content_only(place: Jdobb, new_id: Callable[[], str]):
    job_id = new_id()
    for _ in range(2):
        assert place("enqueue", "later", "--id", job_id, *DELAYED).out == f"{job_id}\n"
    done = place("enqueue", "later", '{"other": 1}', "--id", job_id, *DELAYED)
    assert (done.code, done.out) == (4, "")


def test_a_unique_key_answers_with_the_live_job_or_is_a_conflict(place: Jdobb, new_id: Callable[[], str]):
    words = ("enqueue", "later", *DELAYED, "--unique-key", new_id())
    first = place(*words)
    assert place(*words).out == first.out
    assert place(*words, "--on-conflict", "reject").code == 4


def test_a_full_queue_is_a_conflict(jdobb: Jdobb):
    done = jdobb("enqueue", "later", JDOBB_MAX_PENDING="0")
    assert done.code == 4
    assert "max_pending" in done.err


def test_data_over_the_limit_is_refused(jdobb: Jdobb):
    done = jdobb("enqueue", "later", '{"text": "long enough"}', JDOBB_MAX_PAYLOAD_BYTES="10")
    assert "at most 10" in refused(done)


def test_wait_prints_the_results(place: Jdobb, new_id: Callable[[], str]):
    job_id = new_id()
    done = place("enqueue", "echo", '{"n": 1}', "--wait", "--id", job_id)
    assert (done.code, done.out, done.err) == (0, '{"n": 1}\n', f"job {job_id}\n")


def test_wait_with_json_prints_the_job_as_it_ended(place: Jdobb):
    done = place("enqueue", "echo", '{"n": 1}', "--wait", "--json")
    assert set(done.json) == JOB_FIELDS
    assert (done.json["status"], done.json["results"]) == ("complete", {"n": 1})


def test_waiting_for_a_job_that_fails_exits_1_and_says_why(place: Jdobb, new_id: Callable[[], str]):
    job_id = new_id()
    done = place("enqueue", "boom", "--wait", "--id", job_id)
    assert (done.code, done.out) == (1, "")
    assert f"job {job_id} is failed: no luck\\nat all\n" in done.err
    done = place("enqueue", "boom", "--wait", "--json")
    assert (done.code, done.json["status"]) == (1, "failed")


def test_waiting_too_long_exits_7_and_leaves_the_job(place: Jdobb, new_id: Callable[[], str]):
    job_id = new_id()
    done = place("enqueue", "later", *DELAYED, "--id", job_id, "--wait", "--wait-timeout", "0.1")
    assert (done.code, done.out) == (7, "")
    assert f"job '{job_id}' is still pending after 0.1 s" in done.err
    assert place("get", job_id, "--json").json["status"] == "pending"


def test_watch_prints_each_update_as_a_line_up_to_the_last(place: Jdobb):
    done = place("enqueue", "echo", '{"n": 1}', "--watch")
    assert done.code == 0
    assert [update["seq"] for update in done.documents] == sorted({u["seq"] for u in done.documents})
    assert done.documents[-1]["status"] == "complete"
    assert done.documents[-1]["results"] == {"n": 1}


def test_watching_a_job_that_fails_exits_1(place: Jdobb):
    done = place("enqueue", "boom", "--watch")
    assert done.code == 1
    assert done.documents[-1]["error"] == "no luck\nat all"


def test_watching_too_long_exits_7(place: Jdobb):
    done = place("enqueue", "later", *DELAYED, "--watch", "--wait-timeout", "0.1")
    assert done.code == 7
    assert all(update["status"] == "pending" for update in done.documents)


def test_json_stays_json_where_the_output_is_not_unicode(jdobb: Jdobb):
    done = jdobb.process("enqueue", "later", '{"a": "☺\\u009b"}', "--json", PYTHONIOENCODING="ascii")
    assert done.out.isascii()
    assert json.loads(done.out)["data"] == {"a": "☺\x9b"}
