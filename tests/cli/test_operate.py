"""``jdobb stats``, ``pause`` and ``resume``: the same at a store and at a service."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.command import Jdobb
from tests.cli.test_enqueue import DELAYED

FIGURES = {"ready", "running", "delayed", "oldest_ready_age", "counts"}
TYPE_FIELDS = FIGURES | {
    "job_type", "retry", "timeout", "max_lost", "max_pending", "schema",
    "paused", "pause_reason", "pause_until",
}  # fmt: skip


@pytest.fixture
def job_type(new_id: Callable[[], str]) -> str:
    """Return a job type that no other test uses."""
    return new_id()


def test_stats_shows_a_line_for_each_type_and_one_for_all(place: Jdobb, job_type: str):
    place("enqueue", job_type)
    place("enqueue", job_type, *DELAYED)
    place("pause", job_type)
    done = place("stats")
    assert done.code == 0
    head, *lines, total = done.out.splitlines()
    assert head.split() == [
        "TYPE", "READY", "RUNNING", "DELAYED", "COMPLETE", "FAILED", "CANCELLED", "OLDEST", "READY", "PAUSED",
    ]  # fmt: skip
    mine = next(line for line in lines if line.startswith(job_type)).split()
    assert mine[1:7] == ["1", "0", "1", "0", "0", "0"]
    assert mine[-1] == "yes"
    assert total.startswith("(all)")


def test_stats_as_json_has_totals_and_each_type(place: Jdobb, job_type: str):
    place("enqueue", job_type, *DELAYED)
    found = place("stats", "--json").json
    assert set(found) == FIGURES | {"job_types"}
    assert found["delayed"] >= 1
    mine = found["job_types"][job_type]
    assert set(mine) == FIGURES | {"paused"}
    assert (mine["ready"], mine["delayed"], mine["oldest_ready_age"], mine["paused"]) == (0, 1, None, False)
    assert mine["counts"]["pending"] == 1


def test_a_paused_type_is_not_started_until_it_is_resumed(place: Jdobb):
    done = place("pause", "echo", "--reason", "for a test")
    assert (done.code, done.out) == (0, "echo is paused\n")
    job_id = place("enqueue", "echo", '{"n": 1}').out.strip()
    assert place("watch", job_id, "--timeout", "0.3").code == 7
    assert place("get", job_id, "--json").json["attempt"] == 0
    assert place("resume", "echo").out == "echo is not paused\n"
    assert place("watch", job_id).code == 0


def test_pause_and_resume_as_json_show_the_job_type(place: Jdobb, job_type: str):
    words = ("pause", job_type, "--until", "2100-01-01T00:00:00Z", "--reason", "why not", "--json")
    paused = place(*words).json
    assert set(paused) == TYPE_FIELDS
    assert (paused["paused"], paused["pause_reason"]) == (True, "why not")
    assert paused["pause_until"] == "2100-01-01T00:00:00Z"
    resumed = place("resume", job_type, "--json").json
    assert (resumed["paused"], resumed["pause_reason"], resumed["pause_until"]) == (False, None, None)


def test_pause_says_until_when(place: Jdobb, job_type: str):
    done = place("pause", job_type, "--until", "2100-01-01T00:00:00Z")
    assert done.out == f"{job_type} is paused until 2100-01-01T00:00:00Z\n"


def test_a_mistyped_type_is_met_with_the_near_one(place: Jdobb):
    place("pause", "nightly-report")
    done = place("resume", "nighlty-report")
    assert (done.code, done.out) == (3, "")
    assert done.err == "jdobb: no job type has the name 'nighlty-report'; did you mean nightly-report?\n"
    done = place("pause", "nighlty-report")
    assert (done.code, done.out) == (0, "nighlty-report is paused\n")
    assert done.err == "there was no job type 'nighlty-report' until now; did you mean nightly-report?\n"
    assert place("pause", "nighlty-report").err == ""


def test_resuming_an_unknown_type_exits_3(place: Jdobb, job_type: str):
    done = place("resume", job_type)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"jdobb: no job type has the name {job_type!r}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [["pause", "bad type"], ["resume", "bad type"], ["pause", "a", "--until", "tomorrow"]],
)
def test_what_cannot_be_paused_exits_2(place: Jdobb, words: list[str]):
    done = place(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jdobb: ")
