"""What a person is told besides what was asked for: names that are probably mistyped."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jdobb_service.cli.output import note
from jdobb_service.near import near

if TYPE_CHECKING:
    from jdobb_service.cli.clients.base import Client


def tell_of_mistyped_variables() -> None:
    """Say which variables of the environment are near a setting and set nothing."""
    from jdobb_service.variables import unknown_variables

    for said in unknown_variables(only_mistyped=True):
        note(f"jdobb: {said}")


async def tell_of_unknown_type(client: Client, job_type: str) -> None:
    """Say that no worker at work runs jobs of a type, when there are workers; on a terminal only."""
    if not sys.stderr.isatty():
        return
    try:
        workers = await client.workers()
    except Exception:  # noqa: BLE001 - a hint may fail: the key may not be allowed to read
        return
    known = {name for worker in workers if not worker["stale"] for name in worker["job_types"]}
    if known and job_type not in known:
        note(f"no worker at work runs jobs of type {job_type!r}{near(job_type, known)}")


async def tell_of_absent_types(client: Client, job_types: Iterable[str]) -> None:
    """Say which of the job types there are not, when a choice by them has found nothing."""
    for job_type, hint in await _absent(client, job_types):
        note(f"no job type has the name {job_type!r}{hint}")


async def tell_of_new_type(client: Client, job_type: str) -> None:
    """Say that a job type comes into being by what is about to happen to it: it may be mistyped."""
    for name, hint in await _absent(client, [job_type]):
        note(f"there was no job type {name!r} until now{hint}")


async def _absent(client: Client, job_types: Iterable[str]) -> list[tuple[str, str]]:
    """Return those that there are not, each with what is near it."""
    try:
        known = await client.job_types()
    except Exception:  # noqa: BLE001 - the same
        return []
    return [(name, near(name, known)) for name in job_types if name not in known]
