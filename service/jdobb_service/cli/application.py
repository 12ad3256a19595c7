"""The command line as a whole: which commands there are, and how their help looks."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from jdobb_service.cli.commands import (
    changes,
    config,
    dev,
    doctor,
    enqueue,
    job_types,
    jobs,
    keys,
    openapi,
    serve,
    stats,
    worker,
)
from jdobb_service.cli.running import runnable
from jdobb_service.cli.usage import UsageError, refuse

SECTIONS: dict[str, dict[str, Callable[..., Any]]] = {
    "Run": {"dev": dev.dev, "serve": serve.serve, "worker": worker.worker},
    "Jobs": {
        "enqueue": enqueue.enqueue,
        "get": jobs.get,
        "list": jobs.list_jobs,
        "watch": jobs.watch,
        "cancel": changes.cancel,
        "retry": changes.retry,
        "delete": changes.delete,
    },
    "Operate": {"stats": stats.stats, "pause": job_types.pause, "resume": job_types.resume},
    "Set up": {"doctor": doctor.doctor, "openapi": openapi.openapi},
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., Any]]]] = {
    "config": ("Show the settings in force.", {"show": config.show}),
    "keys": ("Make API keys for the service.", {"new": keys.new}),
}


def run() -> None:
    """Run the command with the arguments of this process, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # they are text files
    make_app()(prog_name="jdobb")


def make_app() -> typer.Typer:
    """Return the command line; its help is plain text, which pipes and searches well."""
    app = _new_group(cls=_Sections)
    app.callback(help=_help(_jdobb))(_jdobb)
    for commands in SECTIONS.values():
        _add(app, commands)
    for name, (says, commands) in GROUPS.items():
        group = _new_group(help=says)
        _add(group, commands)
        app.add_typer(group, name=name)
    return app


def _new_group(**options: Any) -> typer.Typer:
    return typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **options,
    )


def _add(app: typer.Typer, commands: dict[str, Callable[..., Any]]) -> None:
    for name, function in commands.items():
        app.command(name, help=_help(function))(runnable(function))


def _help(function: Callable[..., Any]) -> str:
    """Return a docstring as help text, in which examples keep their lines."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(map(_paragraph, paragraphs))


def _paragraph(text: str) -> str:
    is_example = text.startswith("jdobb ")
    return "\n".join(["\b", *(f"    {line}" for line in text.split("\n"))]) if is_example else text


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"jdobb {version('jdobb-async-queue')}")
        raise typer.Exit


def _jdobb(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Queue jobs, run them, and watch them live.

    jdobb serve myapp.jobs:router
    jdobb enqueue email '{"to": "ada@example.com"}' --watch

    Jobs are in jdobb.db here, unless --backend-url names another store or --url a running service.
    `jdobb COMMAND --help` tells more.
    """


class _Sections(TyperGroup):
    """Lists the commands under a heading for each section, and refuses in one line what it cannot use."""

    def main(self, args: Any = None, *rest: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run, and exit with the code of the command."""
        try:
            code = super().main(args, *rest, **{**extra, "standalone_mode": False})
        except UsageError as error:
            if not standalone_mode:
                raise
            code = refuse(error)
        if standalone_mode:
            sys.exit(code)
        return code

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the headings with their commands."""
        del ctx
        for section, commands in SECTIONS.items():
            names = [*commands, *(GROUPS if section == "Set up" else ())]
            with formatter.section(section):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(200)) for name in names])
