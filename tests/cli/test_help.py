"""What the command says of itself, and how little it loads for that."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from jdobb_async_queue import JobStatus
from jdobb_service import cli
from jdobb_service.cli.application import GROUPS, SECTIONS, make_app
from jdobb_service.cli.commands.keys import Scope
from jdobb_service.cli.options import Status
from jdobb_service.keys import SCOPES
from tests.cli.command import Jdobb

NAMES = [name for commands in SECTIONS.values() for name in commands]
IN_GROUPS = [f"{group} {name}" for group, (_, commands) in GROUPS.items() for name in commands]
HEAVY = {
    "fastapi", "httpx", "jdobb_async_queue", "pydantic_settings", "redis", "rich", "sqlite3", "structlog",
    "uvicorn", "watchfiles",
}  # fmt: skip
PROGRAM = "import sys; from jdobb_service.cli.application import make_app; "


def help_of(*arguments: str) -> str:
    done = CliRunner().invoke(make_app(), [*arguments, "--help"], prog_name="jdobb")
    assert done.exit_code == 0
    return done.stdout


def test_help_lists_every_command(jdobb: Jdobb):
    done = jdobb.process("--help")
    assert (done.code, done.err) == (0, "")
    for name in [*NAMES, *GROUPS]:
        assert f"\n  {name}  " in done.out


@pytest.mark.parametrize("name", [*NAMES, *IN_GROUPS])
def test_the_help_of_a_command_has_an_example_on_a_line_of_its_own(name: str):
    assert f"\n      jdobb {name}" in help_of(*name.split())


def test_help_needs_none_of_the_heavy_libraries():
    program = f"{PROGRAM} make_app(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not (HEAVY | {"pydantic", "importlib.metadata"}) & set(done.stdout.split())


def test_the_help_of_each_command_needs_none_of_the_heavy_libraries_either():
    program = (
        f"{PROGRAM}from typer.main import get_command; command = get_command(make_app())\n"
        f"for words in {[*NAMES, *IN_GROUPS]}:\n"
        "    command.main([*words.split(), '--help'], prog_name='jdobb', standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage: jdobb ") == len(NAMES) + len(IN_GROUPS)
    assert not HEAVY & set(done.stderr.split())


def callbacks(app: typer.Typer) -> Iterator[object]:
    """Yield what the commands and groups of an app call, at any depth."""
    if app.registered_callback is not None:
        yield app.registered_callback.callback
    for command in app.registered_commands:
        yield command.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from callbacks(group.typer_instance)


def test_no_callback_is_a_coroutine_function_for_typer_would_not_await_it():
    found = [callback for callback in callbacks(make_app()) if callback is not None]
    assert len(found) >= len(NAMES) + len(IN_GROUPS)
    assert not [callback for callback in found if inspect.iscoroutinefunction(callback)]


def test_a_coroutine_function_would_be_found_at_any_depth():
    async def probe() -> None: ...

    app, group, inner = typer.Typer(), typer.Typer(), typer.Typer()
    inner.command()(probe)
    group.add_typer(inner)
    app.add_typer(group)
    assert list(callbacks(app)) == [probe]


def test_a_coroutine_function_is_registered_as_a_function_that_runs_it():
    is_run = []

    async def probe() -> int:
        is_run.append(True)
        return 3

    app = typer.Typer()
    app.command()(cli.running.runnable(probe))
    assert CliRunner().invoke(app, []).exit_code == 3
    assert is_run


def test_version(jdobb: Jdobb):
    done = jdobb.process("--version")
    assert (done.code, done.out) == (0, "jdobb 0.1.0\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("enqeue email", "no such command 'enqeue'. Did you mean 'enqueue'? (jdobb --help)"),
        ("keys nw", "no such command 'nw'. Did you mean 'new'? (jdobb keys --help)"),
        ("list --statu failed", "no such option: --statu; did you mean --status? (jdobb list --help)"),
        (
            "list --status fialed",
            "invalid value for '--status': 'fialed' is not one of "
            + ", ".join(f"'{status.value}'" for status in Status)
            + "; did you mean failed? (jdobb list --help)",
        ),
        ("get", "missing argument 'ID' (jdobb get --help)"),
    ],
)
def test_a_line_that_cannot_be_used_is_met_with_what_is_near(jdobb: Jdobb, line: str, said: str):
    done = jdobb(*line.split())
    assert (done.code, done.out, done.err) == (2, "", f"jdobb: {said}\n")


def test_without_arguments_it_shows_its_help(jdobb: Jdobb):
    assert "Usage: jdobb" in jdobb().err


def test_choices_in_options_are_the_ones_that_exist():
    assert [status.value for status in Status] == [status.value for status in JobStatus]
    assert tuple(scope.value for scope in Scope) == SCOPES


def run_main(preparation: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; {preparation}; from jdobb_service.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_on_python_3_10_it_says_in_one_line_what_it_needs():
    done = run_main("sys.version_info = (3, 10, 13, 'final', 0)")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("jdobb needs Python 3.11 or newer, this is 3.10.13")
    assert done.stderr.count("\n") == 1


def test_without_its_extra_it_says_in_one_line_what_to_install():
    done = run_main("sys.modules['typer'] = None")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jdobb needs the package typer: pip install 'jdobb-async-queue[cli]'\n"


def test_the_entry_point_can_be_read_and_imported_by_python_3_10():
    tree = ast.parse(inspect.getsource(cli), feature_version=(3, 10))
    imported = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names] + [
        node.module for node in tree.body if isinstance(node, ast.ImportFrom)
    ]
    assert {str(name) for name in imported} <= {"__future__", "sys"}
