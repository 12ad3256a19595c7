"""``jdobb stats``."""

from __future__ import annotations

from typing import Annotated

import typer

from jdobb_service.cli.clients import connect
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.option_groups import Place
from jdobb_service.cli.options import AsJson
from jdobb_service.cli.output import document
from jdobb_service.cli.views import print_stats

LEAST = 0.1


async def stats(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show them again and again, until Ctrl-C ends it.")
    ] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long --watch rests before it looks again.")
    ] = 2.0,
    as_json: AsJson = False,
    place: Place,
) -> None:
    """Show how many jobs of each type are ready, running, delayed and ended.

    jdobb stats
    jdobb stats --watch
    jdobb stats --json | jq .ready
    """
    if not LEAST <= interval < float("inf"):
        message = f"--interval must be at least {LEAST:g} seconds, got {interval:g}"
        raise Refusal(ExitCode.USAGE, message)
    async with connect(place.url, place.backend_url, place.namespace) as client:
        if watch:
            from jdobb_service.cli.dashboard import watch_stats

            await watch_stats(client, interval, as_json=as_json)
            return
        found = await client.stats()
    if as_json:
        document(found.model_dump(mode="json"))
    else:
        print_stats(found)
