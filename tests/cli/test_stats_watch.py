"""``jdobb stats --watch``: again and again, until Ctrl-C."""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.command import Jdobb
from tests.cli.terminal import CTRL_C, terminal
from tests.cli.test_enqueue import DELAYED

WATCH = ("stats", "--watch", "--interval", "0.1")


def test_a_terminal_is_drawn_over_and_left_as_it_was(jdobb: Jdobb):
    with terminal(jdobb, *WATCH) as screen:
        before = screen.mode()
        screen.wait_for("(all)", times=2)
        jdobb("enqueue", "seen.while.watching", *DELAYED)
        screen.wait_for("seen.while.watching")
        screen.type(CTRL_C)
        assert screen.end() == 0
        assert screen.mode() == before
    assert "Traceback" not in screen.shown
    assert screen.shown.rindex("\x1b[?25h") > screen.shown.rindex("\x1b[?25l")


def test_a_pipe_gets_the_table_again_and_again(place: Jdobb):
    with place.start(*WATCH) as watching:
        assert watching.process.stdout is not None
        shown = ""
        while shown.count("(all)") < 2:
            shown += watching.process.stdout.readline()
        watching.send(signal.SIGINT)
        done = watching.end()
    assert (done.code, done.err) == (0, "")
    assert shown.count("OLDEST READY") == 2
    assert "\x1b" not in shown


def test_json_is_a_document_on_each_line(place: Jdobb):
    with place.start(*WATCH, "--json") as watching:
        assert watching.process.stdout is not None
        documents = [json.loads(watching.process.stdout.readline()) for _ in range(2)]
        watching.send(signal.SIGINT)
        assert watching.end().code == 0
    assert all("job_types" in document for document in documents)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_an_interval_that_cannot_be_is_refused(jdobb: Jdobb, seconds: str):
    done = jdobb("stats", "--watch", "--interval", seconds)
    assert (done.code, done.out) == (2, "")
    assert "--interval must be at least 0.1 seconds" in done.err
