"""The figures again and again: in place on a terminal, one after the other elsewhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jdobb_service.cli.output import document, is_live_terminal, print_data
from jdobb_service.cli.views import print_stats, stats_lines

if TYPE_CHECKING:
    from jdobb_service.cli.clients.base import Client
    from jdobb_service.schemas.stats import Stats


async def watch_stats(client: Client, interval: float, *, as_json: bool) -> None:
    """Show the figures now and after each interval; Ctrl-C is its end, not an interruption."""
    looking = asyncio.ensure_future(_watch(client, interval, as_json=as_json))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, looking.cancel)
    try:
        await asyncio.wait([looking])
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    if not looking.cancelled():
        looking.result()


async def _watch(client: Client, interval: float, *, as_json: bool) -> None:
    with _display(as_json=as_json) as show:
        while True:
            show(await client.stats())
            await asyncio.sleep(interval)


@contextmanager
def _display(*, as_json: bool) -> Iterator[Callable[[Stats], None]]:
    if as_json:
        yield lambda stats: document(stats.model_dump(mode="json"))
    elif is_live_terminal():
        with _screen() as show:
            yield show
    else:
        yield _print_again


def _print_again(stats: Stats) -> None:
    print_stats(stats)
    print_data("")


@contextmanager
def _screen() -> Iterator[Callable[[Stats], None]]:
    """Draw over what was there before; what stands at the end stays."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False, vertical_overflow="crop") as live:

        def show(stats: Stats) -> None:
            head, *each, total = stats_lines(stats, is_live=True)
            lines = [head, total, *each, "Ctrl-C ends"]  # what a small terminal cuts off is the least
            live.update(Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)

        yield show
