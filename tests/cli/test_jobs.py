"""``jdobb get``, ``list``, ``watch``, ``cancel`` and ``retry``: the same at a store and at a service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Jdobb
from tests.cli.test_enqueue import DELAYED, JOB_FIELDS

UPDATE_FIELDS = {
    "job_id", "status", "progress", "message", "results", "error", "timestamp", "seq", "attempt", "kind", "gap",  # noqa: E501 - one line of names
}  # fmt: skip


@pytest.fixture
def waiting(place: Jdobb) -> str:
    """Return the id of a job that stays pending."""
    return place("enqueue", "later", *DELAYED).out.strip()


def enqueue_held(place: Jdobb) -> str:
    return place("enqueue", "hold").out.strip()


def release(place: Jdobb, job_id: str) -> None:
    Path(place.folder, f"release-{job_id}").touch()


def test_get_shows_what_people_want_to_know(place: Jdobb):
    job_id = place("enqueue", "echo", '{"n": 1}', "--metadata", "for=ada", "--wait", "--json").json["id"]
    lines = dict(line.split(maxsplit=1) for line in place("get", job_id).out.splitlines())
    assert lines["id"] == job_id
    assert lines["status"] == "complete"
    assert lines["results"] == '{"n": 1}'
    assert lines["metadata"] == '{"for": "ada"}'


def test_get_shows_several_jobs_and_exits_3_for_one_that_is_unknown(place: Jdobb, waiting: str):
    done = place("get", waiting, "nobody", waiting, "--json")
    assert done.code == 3
    assert done.err == "jdobb: no job has the id 'nobody'\n"
    assert [set(job) for job in done.documents] == [JOB_FIELDS]


def test_get_exits_0_for_a_job_that_failed_because_it_was_found(place: Jdobb):
    job_id = place("enqueue", "boom", "--wait", "--json").json["id"]
    done = place("get", job_id)
    assert done.code == 0
    assert "error         no luck\\nat all" in done.out


def test_list_shows_jobs_in_aligned_columns(place: Jdobb, waiting: str):
    head, first, *_ = place("list", "--type", "later").out.splitlines()
    assert head.split() == ["ID", "TYPE", "STATUS", "PROGRESS", "CREATED", "MESSAGE"]
    assert first.startswith(waiting)
    assert first.index("pending") == head.index("STATUS")


def test_list_filters(place: Jdobb, waiting: str, new_id: Callable[[], str]):
    tag = f"tag={new_id()}"
    job_id = place("enqueue", "later", *DELAYED, "--metadata", tag).out.strip()
    words = ("--status", "pending", "--status", "failed", "--type", "later", "--metadata", tag)
    found = place("list", *words, "--created-after", "2020-01-01T00:00:00Z", "--json").json
    assert [job["id"] for job in found["items"]] == [job_id]
    assert set(found["items"][0]) == JOB_FIELDS
    assert place("list", *words, "--created-before", "2020-01-01T00:00:00Z", "--json").json["items"] == []


def test_list_goes_on_from_its_cursor(place: Jdobb, new_id: Callable[[], str]):
    tag = f"tag={new_id()}"
    ids = [place("enqueue", "later", *DELAYED, "--metadata", tag).out.strip() for _ in range(2)]
    words = ("list", "--metadata", tag, "--limit", "1", "--json")
    seen, cursor = [], []
    while True:
        page = place(*words, *cursor).json
        seen += [job["id"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = ["--cursor", page["next_cursor"]]
    assert seen == ids[::-1]


def test_list_finds_what_lies_behind_very_many_others(place: Jdobb, new_id: Callable[[], str]):
    tag = f"tag={new_id()}"
    job_id = place("enqueue", "later", *DELAYED, "--metadata", tag).out.strip()
    place.process("enqueue", "later", *DELAYED, "--ndjson", "-", stdin="{}\n" * 1001)
    done = place("list", "--metadata", tag, "--json")
    assert [job["id"] for job in done.json["items"]] == [job_id]


def test_list_says_on_standard_error_that_there_is_more(place: Jdobb, waiting: str):
    place("enqueue", "later", *DELAYED)
    done = place("list", "--limit", "1")
    assert "there are more: --cursor " in done.err


@pytest.mark.parametrize(
    "words", [["--cursor", "nonsense"], ["--type", "bad type"], ["--created-after", "yesterday"]]
)
def test_list_refuses_what_it_cannot_look_for(place: Jdobb, words: list[str]):
    done = place("list", *words)
    assert (done.code, done.out) == (2, "")


def test_watch_follows_several_jobs_to_their_ends(place: Jdobb):
    held = [enqueue_held(place), enqueue_held(place)]
    with place.start("watch", *held) as watching:
        for job_id in held:
            release(place, job_id)
        done = watching.end()
    assert done.code == 0
    assert all(set(update) == UPDATE_FIELDS for update in done.documents)
    last = {update["job_id"]: update for update in done.documents}
    assert {job_id: update["status"] for job_id, update in last.items()} == dict.fromkeys(held, "complete")


def test_watch_exits_1_when_one_of_the_jobs_did_not_complete(place: Jdobb, waiting: str):
    place("cancel", waiting)
    good = place("enqueue", "echo", "--wait", "--json").json["id"]
    done = place("watch", good, waiting)
    assert done.code == 1
    assert {update["status"] for update in done.documents} == {"complete", "cancelled"}


def test_watch_exits_3_for_an_unknown_job_before_it_begins(place: Jdobb, waiting: str):
    done = place("watch", waiting, "nobody")
    assert (done.code, done.out, done.err) == (3, "", "jdobb: no job has the id 'nobody'\n")


def test_watch_exits_7_when_its_time_is_up(place: Jdobb, waiting: str):
    done = place("watch", waiting, "--timeout", "0.1")
    assert done.code == 7
    assert done.err == "jdobb: not all jobs are terminal after 0.1 s\n"


def test_cancel_stops_jobs_and_keeps_the_reason(place: Jdobb, waiting: str):
    held = enqueue_held(place)
    done = place("cancel", waiting, held, "--reason", "not needed")
    assert (done.code, done.out) == (0, f"{waiting} is cancelled\n{held} is cancelled\n")
    assert place("get", held, "--json").json["error"] == "not needed"


def test_cancelling_twice_is_no_conflict_and_cancelling_a_complete_job_is(place: Jdobb, waiting: str):
    complete = place("enqueue", "echo", "--wait", "--json").json["id"]
    place("cancel", waiting)
    done = place("cancel", complete, waiting, "--json")
    assert done.code == 4
    assert done.err.startswith(f"jdobb: job {complete}")
    assert [set(job) for job in done.documents] == [JOB_FIELDS]
    assert done.json["status"] == "cancelled"


def test_cancelling_an_unknown_job_exits_3(place: Jdobb):
    assert place("cancel", "nobody").code == 3


def test_retry_makes_a_cancelled_job_ready_again(place: Jdobb, waiting: str):
    place("cancel", waiting)
    done = place("retry", waiting)
    assert (done.code, done.out) == (0, f"{waiting} is pending\n")
    assert place("cancel", waiting, "--json").json["id"] == waiting


def test_retry_refuses_jobs_that_are_live_or_unknown_or_whose_key_is_taken(
    place: Jdobb, waiting: str, new_id: Callable[[], str]
):
    assert place("retry", waiting).code == 4
    assert place("retry", "nobody").code == 3
    words = ("enqueue", "later", *DELAYED, "--unique-key", new_id())
    first = place(*words).out.strip()
    place("cancel", first)
    place(*words)
    done = place("retry", first, "--json")
    assert (done.code, done.out) == (4, "")
    assert "unique key" in done.err
