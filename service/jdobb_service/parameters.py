"""Parameters that several operations take: how the document shows them, and how their text is read."""

from __future__ import annotations

import re

from jdobb_service.operations import NAME, header, query
from jdobb_service.problems import invalid, parameter

PREFER = header(
    "Prefer", {"type": "string"}, "`wait=N`: answer when the job is terminal, at the latest after N (≤ 30) s."
)
WAIT = query("wait", {"type": "number", "minimum": 0}, "The same as `Prefer: wait=N`.")
LAST_EVENT_ID = (
    header("Last-Event-ID", {"type": "string"}, "Go on after this event; wins over the query."),
    query("last_event_id", {"type": "string"}, "The same, for a first connect."),
)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,30})?")


def checked_name(name: str, text: str) -> str:
    """Return a parameter that is a job's id or a job type. Raises the 422 that names the parameter."""
    if NAME.fullmatch(text) is None:
        raise invalid(parameter(name), "must be 1 to 128 characters of A-Z a-z 0-9 . _ : -")
    return text


def seconds(text: str) -> float | None:
    """Return a number of seconds as it is written in a query, None for anything else."""
    return None if _SECONDS.fullmatch(text) is None else float(text)


def unknown(name: str) -> Exception:
    """Return the 422 of a parameter that the operation does not have."""
    return invalid(parameter(name), "unknown parameter")
