from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from chaos.history import (
    Acknowledged,
    Asked,
    Fault,
    Read,
    Recorder,
    Run,
    Seen,
    Settled,
    Snapshot,
    read_history,
)
from tests.support.waiting import until

EVENTS = [
    Run(at=0.5, lease=2.0, records=("ended",), about={"backend": "redis"}),
    Asked(at=1.0, op="x", job="a", key="k", not_before_ms=5),
    Acknowledged(at=1.5, asked_at=1.0, op="x", job="a", created=False),
    Settled(at=2.0, job="a", outcome="complete", accepted=None, token="t", results={"n": [1, "ü\n"]}),
    Fault(at=2.5, fault="pause", target="w", until=3.0),
    Seen(at=2.7, job="a", watcher="v", seq=7, status="processing", kind="progress"),
    Snapshot(at=3.0, job="a", status="complete", updates=((1, "status", "complete"),)),
]


def test_what_was_recorded_is_read_again(tmp_path):
    with Recorder(tmp_path / "one.ndjson") as record:
        for event in EVENTS:
            record(event)

    assert read_history(tmp_path / "one.ndjson") == EVENTS


def test_the_files_of_a_run_are_merged_by_time(tmp_path):
    for name, events in {"one": EVENTS[::2], "other": EVENTS[1::2]}.items():
        with Recorder(tmp_path / f"{name}.ndjson") as record:
            for event in events:
                record(event)

    assert read_history(tmp_path) == EVENTS


def test_a_line_names_its_kind_and_leaves_out_what_has_its_default(tmp_path):
    path = tmp_path / "one.ndjson"
    with Recorder(path) as record:
        record(Read(at=1.5, job="a", status="pending"))

    assert json.loads(path.read_text()) == {"event": "Read", "at": 1.5, "job": "a", "status": "pending"}


def test_a_file_is_continued(tmp_path):
    for event in EVENTS:
        with Recorder(tmp_path / "one.ndjson") as record:
            record(event)

    assert read_history(tmp_path) == EVENTS


def test_a_line_that_was_cut_short_is_left_out(tmp_path):
    path = tmp_path / "one.ndjson"
    with Recorder(path) as record:
        record(EVENTS[0])
        record(EVENTS[1])
    path.write_text(path.read_text()[:-5])

    assert read_history(path) == EVENTS[:1]


def test_a_killed_process_leaves_what_it_recorded(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from chaos.history import Read, Recorder\n"
        "record = Recorder(Path(sys.argv[1]))\n"
        "for n in range(100): record(Read(at=n, job='a', status='pending'))\n"
        "print('recorded', flush=True); time.sleep(60)"
    )
    path = tmp_path / "one.ndjson"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        until(process.stdout.readline)
        os.kill(process.pid, signal.SIGKILL)

    assert len(read_history(path)) == 100
