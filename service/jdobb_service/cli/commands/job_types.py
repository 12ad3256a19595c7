"""``jdobb pause`` and ``resume``."""

from __future__ import annotations

import re
from typing import Any

from jdobb_service.cli.clients import connect
from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.hints import tell_of_new_type
from jdobb_service.cli.options import (
    AsJson,
    BackendUrl,
    JobTypeName,
    Namespace,
    PauseReason,
    PauseUntil,
    Url,
    instant,
)
from jdobb_service.cli.output import document, print_data, printable

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")


async def pause(
    job_type: JobTypeName,
    *,
    until: PauseUntil = None,
    reason: PauseReason = None,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> None:
    """Start no more jobs of a type, in any process; running ones go on.

    jdobb pause email --reason "the mail server is down"
    jdobb pause email --until 2030-01-31T08:00:00Z
    """
    ends = instant(until, "--until")
    async with connect(url, backend_url, namespace) as client:
        await tell_of_new_type(client, _checked(job_type))
        _show(await client.pause(job_type, ends, reason), as_json=as_json)


async def resume(
    job_type: JobTypeName,
    *,
    as_json: AsJson = False,
    url: Url = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
) -> None:
    """Start jobs of a paused type again.

    jdobb resume email
    """
    async with connect(url, backend_url, namespace) as client:
        _show(await client.resume(_checked(job_type)), as_json=as_json)


def _show(job_type: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        document(job_type)
        return
    ends = job_type.get("pause_until")
    state = "paused" if job_type.get("paused") else "not paused"
    print_data(printable(f"{job_type.get('job_type')} is {state}{f' until {ends}' if ends else ''}"))


def _checked(job_type: str) -> str:
    if _NAME.fullmatch(job_type) is None:
        message = f"TYPE must be 1 to 128 characters of A-Z a-z 0-9 . _ : -, got {job_type!r}"
        raise Refusal(ExitCode.USAGE, message)
    return job_type
