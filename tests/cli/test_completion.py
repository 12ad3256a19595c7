"""What a shell offers when Tab is pressed."""

from __future__ import annotations

import pytest

from tests.cli.command import Jdobb


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
