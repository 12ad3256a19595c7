"""Running a child until it is told to stop, and a new one after each change of the code or the settings."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchfiles import Change, PythonFilter, awatch

from jdobb_service.cli.development.child import Child
from jdobb_service.cli.development.program import Plan
from jdobb_service.cli.exits import ExitCode
from jdobb_service.cli.output import note, printable
from jdobb_service.settings import DEFAULT_FILE, FILE_VARIABLE


async def run_until_told(plan: Plan, grace: float) -> ExitCode:
    """Serve, and serve anew after each change below the current directory; return how it was ended.

    SIGINT or SIGTERM lets running jobs finish for ``grace`` seconds; the next one ends everything at once.
    """
    with _Stop().on_signals() as stop:
        changes = _changes(stop.asked)
        try:
            while not stop.asked.is_set():
                changed = await _run_once(plan, grace, changes, stop)
                if changed:
                    note(f"{', '.join(changed)} changed: starting anew")
        finally:
            await changes.aclose()  # type: ignore[attr-defined]  # an async generator
    return ExitCode.INTERRUPTED if stop.at_once.is_set() else ExitCode.OK


class _Stop:
    """What the person wants: to stop, and to stop at once."""

    def __init__(self) -> None:
        self.asked, self.at_once = asyncio.Event(), asyncio.Event()

    @contextmanager
    def on_signals(self) -> Iterator[_Stop]:
        """Listen to signals inside the block."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self._ask)
        try:
            yield self
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _ask(self) -> None:
        if self.asked.is_set():
            self.at_once.set()
        else:
            note("stopping; running jobs may finish (Ctrl-C again stops at once)")
            self.asked.set()


async def _run_once(plan: Plan, grace: float, changes: AsyncIterator[list[str]], stop: _Stop) -> list[str]:
    """Run one child up to a change or the end; return what has changed."""
    child = await Child.start(plan, grace)
    change = asyncio.ensure_future(anext(changes, []))
    try:
        await asyncio.wait([child.ended, change], return_when=asyncio.FIRST_COMPLETED)
        if child.ended.done() and not change.done():
            note("waiting for a change of the code or the settings (Ctrl-C ends)")
            await asyncio.wait([change])
        await _first(child.drain(), stop.at_once.wait())
        if stop.at_once.is_set():
            await child.hurry()
        return change.result()
    finally:
        change.cancel()
        await asyncio.wait([change])
        await child.close()


async def _first(*steps: object) -> None:
    """Wait for the first of several coroutines to end, and give the others up."""
    running = [asyncio.ensure_future(step) for step in steps]  # type: ignore[call-overload]  # coroutines
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()
    await asyncio.wait(running)


async def _changes(stop: asyncio.Event) -> AsyncIterator[list[str]]:
    """Yield the names of Python files, and of the settings file, that changed, until the end is asked for."""
    here = Path.cwd()
    async for found in awatch(here, watch_filter=_Sources(), stop_event=stop, ignore_permission_denied=True):
        yield sorted({printable(Path(path).relative_to(here)) for _, path in found})


class _Sources(PythonFilter):
    """Lets Python files and the settings file through."""

    def __init__(self) -> None:
        super().__init__()
        self._settings = Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE).absolute()

    def __call__(self, change: Change, path: str) -> bool:
        return Path(path) == self._settings or super().__call__(change, path)
