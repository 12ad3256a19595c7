"""Many jobs at once: ``cancel``, ``retry`` and ``delete`` for the jobs that options choose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.command import Jdobb
from tests.cli.terminal import terminal
from tests.cli.test_enqueue import DELAYED

RESULT = {"matched", "done", "failed", "more"}


@pytest.fixture
def job_type(place: Jdobb, new_id: Callable[[], str]) -> str:
    """Return a job type with three jobs that wait, one of which is Ada's."""
    name = new_id()
    lines = '{"n": 1}\n{"n": 2}\n'
    assert place.process("enqueue", name, "--ndjson", "-", *DELAYED, stdin=lines).code == 0
    assert place("enqueue", name, *DELAYED, "--metadata", "for=ada").code == 0
    return name


def statuses(place: Jdobb, job_type: str) -> list[str]:
    return sorted(job["status"] for job in place("list", "--type", job_type, "--json").json["items"])


def test_jobs_are_cancelled_retried_and_deleted_by_what_they_are(place: Jdobb, job_type: str):
    chosen = ("--type", job_type, "--yes")
    assert place("cancel", *chosen, "--metadata", "for=ada").out == "1 job is cancelled\n"
    assert statuses(place, job_type) == ["cancelled", "pending", "pending"]
    assert place("cancel", *chosen).out == "2 jobs are cancelled\n"
    assert place("retry", *chosen, "--status", "cancelled").out == "3 jobs are ready again\n"
    assert place("delete", *chosen).out == "0 jobs are deleted\n"
    place("cancel", *chosen)
    done = place("delete", *chosen, "--created-after", "2020-01-01T00:00:00Z", "--json")
    assert done.code == 0
    assert set(done.json) == RESULT
    assert (done.json["matched"], done.json["done"], done.json["more"]) == (3, 3, False)
    assert statuses(place, job_type) == []


def test_a_dry_run_tells_how_many_and_changes_nothing(place: Jdobb, job_type: str):
    done = place("cancel", "--type", job_type, "--dry-run")
    assert (done.code, done.out) == (0, "3 jobs would be cancelled\n")
    assert place("cancel", "--type", job_type, "--dry-run", "--json").json["matched"] == 3
    before = ("--created-before", "2020-01-01T00:00:00Z")
    assert place("cancel", "--type", job_type, *before, "--dry-run").out == "0 jobs would be cancelled\n"
    assert statuses(place, job_type) == ["pending"] * 3


def test_off_a_terminal_it_needs_a_clear_word(place: Jdobb, job_type: str):
    done = place("cancel", "--type", job_type)
    assert (done.code, done.out) == (2, "")
    assert "say --yes" in done.err
    assert statuses(place, job_type) == ["pending"] * 3


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, "cancelled"), ("\n", 1, "pending")])
def test_on_a_terminal_it_asks(place: Jdobb, job_type: str, answer: str, code: int, left: str):
    with terminal(place, "cancel", "--type", job_type) as screen:
        screen.wait_for("cancel 3 jobs? [y/N]")
        screen.type(answer)
        assert screen.end() == code
    assert statuses(place, job_type) == [left] * 3


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--status", "pending"], ["cancel", "--dry-run"], ["delete", "--yes"]]
)
def test_a_type_that_there_is_not_is_told_when_nothing_is_found(place: Jdobb, words: list[str]):
    place("enqueue", "newsletter", *DELAYED)
    done = place(*words, "--type", "newsleter")
    assert (done.code, done.err) == (0, "no job type has the name 'newsleter'; did you mean newsletter?\n")
    assert "newsletter" not in done.out


def test_jobs_that_cannot_be_changed_are_told_and_exit_4(place: Jdobb, new_id: Callable[[], str]):
    name = new_id()
    words = ("enqueue", name, *DELAYED, "--unique-key", name)
    first = place(*words).out.strip()
    place("cancel", first)
    place(*words)
    done = place("retry", "--type", name, "--yes")
    assert (done.code, done.out) == (4, "0 jobs are ready again\n")
    assert done.err == f"jdobb: job {first} was left as it is: duplicate-job\n"


def test_delete_removes_jobs_that_are_named(place: Jdobb, job_type: str):
    job_id = place("list", "--type", job_type, "--json").json["items"][0]["id"]
    refused = place("delete", job_id)
    assert refused.code == 4
    assert refused.err.startswith(f"jdobb: job {job_id}")
    place("cancel", job_id)
    assert place("delete", job_id, "--json").json == {"id": job_id, "deleted": True}
    assert place("delete", job_id).code == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name jobs by their ids, or choose them by"),
        (["--yes"], "name jobs by their ids, or choose them by"),
        (["x", "--type", "y"], "give either ids or options"),
        (["x", "--yes"], "are for jobs that options choose"),
        (["--status", "complete", "--yes"], "status"),
        (["--type", "y", "--created-after", "soon", "--yes"], "--created-after must be a time"),
        (["--type", "y", "--reason", "z", "--yes"], "--reason is for jobs that are named"),
    ],
)
def test_what_is_not_clear_is_refused(place: Jdobb, words: list[str], complaint: str):
    done = place("cancel", *words)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err
    assert done.err.count("\n") == 1
