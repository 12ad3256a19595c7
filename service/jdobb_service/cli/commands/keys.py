"""``jdobb keys new``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.options import AsJson
from jdobb_service.cli.output import document, note, print_data


class Scope(StrEnum):
    """The scopes of keys, without loading the settings just for help."""

    ENQUEUE = "enqueue"
    READ = "read"
    CANCEL = "cancel"
    WORK = "work"
    ADMIN = "admin"


def new(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="A name for whoever gets the key.", show_default=False)
    ],
    *,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            help="What the key may do; may be given several times  [default: enqueue, read, cancel]",
            show_default=False,
        ),
    ] = None,
    job_type: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="PATTERN",
            help="Only job types like this, such as billing.*; may be given several times.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key: the secret for its caller, and the line for JDOBB_API_KEYS of the service.

    The service keeps only a digest of the secret: this is the one time that it is shown.

    jdobb keys new billing --scope enqueue --scope read --type 'billing.*'
    """
    from pydantic import ValidationError

    from jdobb_service.keys import new_key

    scopes = tuple(item.value for item in scope or (Scope.ENQUEUE, Scope.READ, Scope.CANCEL))
    try:
        key, secret = new_key(key_id, scopes, tuple(job_type or ()))
    except ValidationError as error:
        first = error.errors()[0]
        place = "--type" if first["loc"][0] == "job_types" else "ID"
        message = f"{place}: {first['msg'].removeprefix('Value error, ')}"
        raise Refusal(ExitCode.USAGE, message) from None
    if as_json:
        document({"id": key.id, "secret": secret, "key": str(key)})
        return
    note("the secret, for the caller (JDOBB_API_KEY, or `Authorization: Bearer …`):")
    print_data(secret)
    note("the key, for the service (JDOBB_API_KEYS, or a line of its keys file):")
    print_data(str(key))
