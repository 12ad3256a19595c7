"""What a shell offers when Tab is pressed."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.command import COMMAND, PATIENCE, Jdobb


def completed(jdobb: Jdobb, line: str) -> set[str]:
    """Return what bash is told to offer at the end of a line."""
    done = jdobb.process(
        _JDOBB_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1)
    )
    assert done.err == ""
    return set(done.out.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("jdobb wat", {"watch"}),
        ("jdobb de", {"dev", "delete"}),
        ("jdobb config ", {"show"}),
        ("jdobb cancel --dr", {"--dry-run"}),
        ("jdobb list --status c", {"complete", "cancelled"}),
    ],
)
def test_bash_is_offered_commands_options_and_choices(jdobb: Jdobb, line: str, offered: set[str]):
    assert completed(jdobb, line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(jdobb: Jdobb, shell: str):
    done = jdobb.process("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert (done.code, done.err) == (0, "")
    assert "_JDOBB_COMPLETE=complete_" in done.out


def test_bash_completes_with_what_is_installed(jdobb: Jdobb):
    home = jdobb.folder / "home"
    home.mkdir()
    environment = {"HOME": str(home), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = jdobb.process("--install-completion", "bash", **environment)
    assert done.code == 0
    command = home / "jdobb"
    command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    pressed = (
        "COMP_WORDS=(jdobb list --status ca); COMP_CWORD=3; _jdobb_completion jdobb; echo ${COMPREPLY[@]}"
    )
    shell = subprocess.run(
        ["bash", "--norc", "-c", f". ~/.bashrc; complete -p jdobb; {pressed}"],
        cwd=jdobb.folder,
        env=jdobb.clean_environment({**environment, "PATH": f"{home}:{os.environ['PATH']}"}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    registered, offered = shell.stdout.splitlines()
    assert "_jdobb_completion jdobb" in registered
    assert offered == "cancelled"
    assert shell.stderr == ""
