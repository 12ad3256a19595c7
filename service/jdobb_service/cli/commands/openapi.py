"""``jdobb openapi``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from jdobb_service.cli.clients import service_url
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.options import Url
from jdobb_service.cli.output import print_data


async def openapi(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead.")
    ] = None,
    url: Url = None,
) -> None:
    """Print the OpenAPI document of the HTTP interface: of this version, or of a running service.

    jdobb openapi -o openapi.json
    """
    text = json.dumps(await _document(service_url(url)), indent=2)
    if output is None:
        print_data(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise Refusal(ExitCode.USAGE, f"cannot write {output}: {error.strerror}") from error


async def _document(service: str | None) -> dict[str, Any]:
    if service is not None:
        from jdobb_service.cli.clients.http import HttpClient

        async with HttpClient.from_environment(service) as client:
            return await client.document()
    from jdobb_service.app import RESOURCES
    from jdobb_service.document import describe

    return describe(RESOURCES)
