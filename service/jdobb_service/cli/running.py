"""From a function to a command of Typer: runs coroutines, and ends with the right code whatever happens.

Typer calls an ``async def`` without awaiting it and exits 0; so every command is registered through
``runnable``.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from jdobb_service.cli.exits import ExitCode, refusal_of
from jdobb_service.cli.option_groups import OptionGroup
from jdobb_service.cli.output import note

_REMEDIES = {ExitCode.UNREACHABLE: " (jdobb doctor, with the same options, tells what to do)"}
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def runnable(function: Callable[..., Any]) -> Callable[..., None]:
    """Return the function as a command: a plain function with its options and ``--debug``.

    What it returns is the exit code, None for 0. An ``OptionGroup`` among the parameters stands for its
    options.
    """
    signature = inspect.signature(function, eval_str=True)
    groups = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if isinstance(parameter.annotation, type) and issubclass(parameter.annotation, OptionGroup)
    }

    @functools.wraps(function)
    def command(*, debug: bool, **options: Any) -> None:
        for name, group in groups.items():
            options[name] = group(**{field: options.pop(field) for field in _options_of(group)})
        raise typer.Exit(_run(function, options, debug=debug))

    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += _options_of(groups[name]).values() if name in groups else [parameter]
    switch = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]  # read by inspect.signature
        parameters=[*parameters, switch], return_annotation=None
    )
    return command


def _options_of(group: type[OptionGroup]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(group, eval_str=True).parameters


def _run(function: Callable[..., Any], options: dict[str, Any], *, debug: bool) -> int:
    try:
        outcome = function(**options)
        code = asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_pipe()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - every error ends in a message and a code
        if debug:
            traceback.print_exc()
        refusal = refusal_of(error)
        said, *hints = str(refusal).split("\n")
        note("\n".join([f"jdobb: {said}{_REMEDIES.get(refusal.code, '')}", *hints]))
        return refusal.code
    return ExitCode.OK if code is None else int(code)


def _leave_pipe() -> int:
    """Stop writing to a pipe that nobody reads, also when the interpreter flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.PIPE_CLOSED
