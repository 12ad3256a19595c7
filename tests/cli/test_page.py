"""The page about the command: its session runs as it stands, and its tables are the command's."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from jdobb_service.cli.application import GROUPS, SECTIONS
from jdobb_service.cli.exits import ExitCode
from tests.cli.command import PATIENCE, Jdobb
from tests.docs.blocks import ROOT, blocks_of

PAGE = "docs/command.md"
WORDS = ROOT.joinpath(PAGE).read_text(encoding="utf-8")


def run_line(jdobb: Jdobb, line: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", line],
        check=False,
        cwd=jdobb.folder,
        env=jdobb.clean_environment({"PATH": path}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
    )
    return done.stdout.decode()


def test_the_sessions_print_what_the_page_says(tmp_path: Path):
    jdobb = Jdobb(tmp_path)
    tmp_path.joinpath("jobs.py").write_text(blocks_of(PAGE, "python")[0].text)
    start = blocks_of(PAGE, "sh")[0].text.split()
    with jdobb.start(*start[1:]) as worker:
        worker.wait_for("runs greet")
        for session in blocks_of(PAGE, "console"):
            lines = re.findall(r"^\$ (.+)$", session.text, re.MULTILINE)
            assert "".join(f"$ {line}\n{run_line(jdobb, line)}" for line in lines) == session.text


def test_the_line_for_those_who_write_handlers_serves_them(tmp_path: Path):
    jdobb = Jdobb(tmp_path, {"JDOBB_PORT": "0"})
    tmp_path.joinpath("jobs.py").write_text(blocks_of(PAGE, "python")[0].text)
    line = blocks_of(PAGE, "sh")[1].text.split()
    with jdobb.start(*line[1:]) as dev:
        dev.wait_for("runs greet")
        dev.send(signal.SIGINT)
        done = dev.end()
    assert done.code == 0
    assert "dashboard: http://" in done.out
    assert '"job_type": "greet"' in done.out


def test_the_page_lists_every_command():
    names = {name for commands in SECTIONS.values() for name in commands} | {
        f"{group} {name}" for group, (_, commands) in GROUPS.items() for name in commands
    }
    assert set(re.findall(r"^\| `jdobb ([a-z]+(?: new| show)?)", WORDS, re.MULTILINE)) == names


def test_the_page_lists_every_exit_code():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", WORDS, re.MULTILINE)} == {*ExitCode}
