"""Where output goes and what it is made of: pipes, terminals, readers that leave, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, PATIENCE, Jdobb
from tests.cli.terminal import terminal
from tests.cli.test_enqueue import DELAYED

RED = "\x1b[31mred\x07\x9b1m"


@contextlib.contextmanager
def on_terminal(jdobb: Jdobb, *arguments: str, **environment: str) -> Iterator[Callable[[], str]]:
    """Run the command on a terminal; yield what reads on until the command has ended."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=jdobb.folder,
        env=jdobb.clean_environment({"TERM": "xterm", "COLUMNS": "120", **environment}),
        stdin=other,
        stdout=other,
        stderr=subprocess.DEVNULL,
    )
    os.close(other)

    def read() -> str:
        written = b""
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while chunk := os.read(main, 65_536):
                written += chunk
        return written.decode()

    try:
        yield read
        assert process.wait(PATIENCE) is not None
    finally:
        process.kill()
        process.wait()
        os.close(main)


def test_pipes_get_no_colours_whatever_the_environment_asks_for(place: Jdobb):
    colours = {"FORCE_COLOR": "1", "GITHUB_ACTIONS": "1", "PY_COLORS": "1"}
    job_id = place("enqueue", "echo", "--wait", "--json").json["id"]
    for words in (["--help"], ["get", job_id], ["list"], ["watch", job_id], ["gett"], ["get", "nobody"]):
        done = place.process(*words, **colours)
        assert "\x1b" not in done.out + done.err, words


def test_control_characters_of_jobs_are_shown_and_not_sent(place: Jdobb):
    job_id = place("enqueue", "later", json.dumps({"text": RED}), *DELAYED).out.strip()
    place("cancel", job_id, "--reason", RED)
    for words in (["get", job_id], ["get", job_id, "--json"], ["list"], ["watch", job_id]):
        out = place(*words).out
        assert not {"\x1b", "\x07", "\x9b"} & set(out), words
    assert "\\x1b[31mred" in place("get", job_id).out
    assert place("get", job_id, "--json").json["error"] == RED


def test_a_terminal_gets_a_bar_that_moves_for_each_job(place: Jdobb):
    held, other = (place("enqueue", "hold").out.strip() for _ in range(2))
    with on_terminal(place, "watch", held, other) as read:
        for job_id in (held, other):
            Path(place.folder, f"release-{job_id}").touch()
        shown = read()
    assert "hold" in shown
    assert held[-12:] in shown
    assert other[-12:] in shown
    assert "━" in shown
    assert "100%" in shown
    assert "complete" in shown
    assert '"job_id"' not in shown


def test_a_terminal_that_enqueues_may_watch_at_once(place: Jdobb):
    with terminal(place, "enqueue", "echo", '{"n": 1}', "--watch") as screen:
        assert screen.end() == 0
    assert "100%" in screen.shown
    assert screen.shown.rindex("\x1b[?25h") > screen.shown.rindex("\x1b[?25l")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_none_gets_no_control_sequences(store: Jdobb, environment: dict[str, str]):
    job_id = store("enqueue", "echo", "--wait", "--json").json["id"]
    with on_terminal(store, "watch", job_id, **environment) as read:
        shown = read()
    assert "\x1b" not in shown
    assert json.loads(shown.splitlines()[-1])["status"] == "complete"


def test_a_list_on_a_terminal_keeps_to_its_width_and_has_colours(store: Jdobb):
    job_id = store("enqueue", "boom", "--metadata", "for=width", "--wait", "--json").json["id"]
    words = ("list", "--metadata", "for=width")
    with terminal(store, *words) as screen:
        assert screen.end() == 0
    assert f"{job_id}  boom  \x1b[31mfailed" in screen.shown
    with terminal(store, *words, NO_COLOR="1") as plain:
        assert plain.end() == 0
    assert "\x1b" not in plain.shown


def test_a_terminal_gets_json_when_asked(store: Jdobb):
    job_id = store("enqueue", "echo", "--wait", "--json").json["id"]
    with on_terminal(store, "watch", job_id, "--json") as read:
        assert json.loads(read())["status"] == "complete"


@pytest.mark.parametrize(("words", "code"), [(["list"], 141), (["watch"], 141), (["--help"], 1)])
def test_a_reader_that_leaves_is_met_with_silence(store: Jdobb, words: list[str], code: int):
    job_id = store("enqueue", "echo", "--wait", "--json").json["id"]
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [*words, job_id] if words == ["watch"] else words
    done = subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        cwd=store.folder,
        env=store.clean_environment({}),
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, b"")
