"""``jdobb enqueue --ndjson``: many jobs, each chunk of them as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from jdobb_service.cli.job_lines import CHUNK_JOBS
from tests.cli.command import Jdobb
from tests.cli.terminal import terminal
from tests.cli.test_enqueue import DELAYED, JOB_FIELDS


def lines(*values: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def count(place: Jdobb, job_type: str) -> int:
    return int(place("cancel", "--type", job_type, "--dry-run", "--json").json["matched"])


def test_each_line_is_the_data_of_a_job_of_the_type(place: Jdobb, new_id: Callable[[], str]):
    name = new_id()
    place.folder.joinpath("many.ndjson").write_text(f"{lines({'n': 1})}\n{lines({'n': 2})}")
    done = place("enqueue", name, "--ndjson", "@many.ndjson", *DELAYED, "--priority", "high")
    assert (done.code, done.err) == (0, "2 jobs are stored\n")
    jobs = place("get", *done.out.split(), "--json").documents
    assert [(job["data"], job["priority"], job["job_type"]) for job in jobs] == [
        ({"n": 1}, "high", name),
        ({"n": 2}, "high", name),
    ]


def test_without_a_type_each_line_is_a_whole_job(place: Jdobb, new_id: Callable[[], str]):
    job = {"job_type": "later", "id": new_id(), "run_at": "2040-01-01T00:00:00Z", "data": {"to": "Ada ☺"}}
    done = place.process("enqueue", "--ndjson", "-", "--json", stdin=lines(job))
    assert done.code == 0
    assert set(done.json) == JOB_FIELDS
    assert {name: done.json[name] for name in job} == job


def test_lines_as_other_systems_write_them_are_read(jdobb: Jdobb):
    jdobb.folder.joinpath("many.ndjson").write_bytes(b'\xef\xbb\xbf{"n": 1}\r\n  \r\n\r\n{"n": 2}')
    done = jdobb("enqueue", "later", "--ndjson", "@many.ndjson", "--json", *DELAYED)
    assert [job["data"] for job in done.documents] == [{"n": 1}, {"n": 2}]


def test_a_bad_line_is_named_and_nothing_of_its_chunk_is_stored(place: Jdobb, new_id: Callable[[], str]):
    name = new_id()
    good = lines(*({"n": number} for number in range(CHUNK_JOBS + 1)))
    done = place.process("enqueue", name, "--ndjson", "-", *DELAYED, stdin=good + "{\n")
    assert done.code == 2
    assert f"jdobb: line {CHUNK_JOBS + 2} is not JSON" in done.err
    assert f"{CHUNK_JOBS} jobs are stored, up to line {CHUNK_JOBS}, and nothing after it" in done.err
    assert f"tail -n +{CHUNK_JOBS + 1}" in done.err
    assert len(done.out.splitlines()) == count(place, name) == CHUNK_JOBS


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"job_type": "later"}\n[1]\n', "line 2 must be a JSON object"),
        ('{"job_type": "later"}\n{"data": {}}\n', "line 2: job_type: "),
        (
            '{"job_type": "later", "dta": {}}\n',
            "line 1: dta: no attribute of a job has this name; did you mean data",
        ),
        (
            '[{"job_type": "later"},\n',
            "line 1 must be a JSON object, not an array: `jq -c '.[]'` makes lines",
        ),
        ('{"job_type": "later", "retry": {"max_attempts": "x"}}\n', "line 1: retry.max_attempts: "),
        (b'{"job_type": "later"}\n{"job_type": "\xff"}\n', "line 2 is not UTF-8 at byte 14"),
        ('{"job_type": "later"}\n\n{"job_type": "two words"}\n', "line 3: job_type"),
        ('{"job_type": "later", "data": {"a": NaN}}\n', "line 1 is not JSON: NaN"),
    ],
)
def test_lines_that_cannot_be_jobs_are_named(place: Jdobb, text: str | bytes, complaint: str):
    done = place.process("enqueue", "--ndjson", "-", stdin=text)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"jdobb: {complaint}")
    assert done.err.endswith("nothing is stored\n")


def test_a_conflict_in_a_chunk_stores_nothing_of_it(place: Jdobb, new_id: Callable[[], str]):
    taken, free = new_id(), new_id()
    place("enqueue", "later", *DELAYED, "--id", taken)
    text = lines({"job_type": "later", "id": free}, {"job_type": "other", "id": taken})
    done = place.process("enqueue", "--ndjson", "-", stdin=text)
    assert (done.code, done.out) == (4, "")
    assert done.err.endswith("nothing is stored\n")
    assert place("get", free).code == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["later", "{}", "--ndjson", "-"], "goes without data"),
        (["later", "--ndjson", "-", "--wait"], "goes without data"),
        (["later", "--ndjson", "-", "--id", "x"], "goes without data"),
        (["--ndjson", "-", "--priority", "high"], "without TYPE each line says all of its job"),
        (["later", "--ndjson", "plain.ndjson"], "--ndjson takes @FILE"),
        (["later", "--ndjson", "@"], "--ndjson takes @FILE"),
        (["later", "--ndjson", "@absent"], "absent cannot be read: No such file or directory"),
        ([], "name the job type"),
    ],
)
def test_what_cannot_be_meant_for_many_jobs_is_refused(place: Jdobb, words: list[str], complaint: str):
    done = place.process("enqueue", *words)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err


def test_a_type_that_no_worker_runs_is_told_on_a_terminal(place: Jdobb, new_id: Callable[[], str]):
    with terminal(place, "enqueue", "ehco", *DELAYED) as screen:
        assert screen.end() == 0
    assert "no worker at work runs jobs of type 'ehco'; did you mean echo?" in screen.shown
    assert place("enqueue", "ehco", *DELAYED).err == ""
