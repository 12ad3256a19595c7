"""The same for each of several jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from jdobb_service.cli.exits import ExitCode, refusal_of
from jdobb_service.cli.output import note

T = TypeVar("T")


async def each(job_ids: Sequence[str], call: Callable[[str], Awaitable[T]], show: Callable[..., None]) -> int:
    """Do the same to each job; one that refuses does not stop the rest. Returns the first refusal's code."""
    code = ExitCode.OK
    is_first = True
    for job_id in dict.fromkeys(job_ids):
        try:
            found = await call(job_id)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.code not in {ExitCode.NOT_FOUND, ExitCode.CONFLICT}:
                raise
            note(f"jdobb: {refusal}")
            code = code or refusal.code
        else:
            show(found, is_first=is_first)
            is_first = False
    return code
