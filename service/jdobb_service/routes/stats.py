"""Figures: now, by the minute, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from jdobb_service import examples, figures
from jdobb_service.answers import json_response
from jdobb_service.operations import Call, Resource, Success, operation, query
from jdobb_service.parameters import seconds, unknown
from jdobb_service.problems import invalid, parameter
from jdobb_service.schemas import stats as wire

resource = Resource("stats")

DAY = 86_400.0
_HOUR = 3600.0


@operation(
    resource,
    "GET",
    "/stats",
    scope="read",
    success=[Success(200, "The figures now.", wire.Stats, example=examples.STATS)],
    problems=["validation"],
)
async def get_stats(call: Call) -> Response:
    """Show how jobs stand now, in total and by job type."""
    _window(call, known=())
    return json_response(await figures.overview(call.queue, call.caller.covers))


@operation(
    resource,
    "GET",
    "/stats/history",
    scope="read",
    parameters=[
        query(
            "window",
            {"type": "number", "minimum": 1, "maximum": DAY, "default": _HOUR},
            "Seconds to look back.",
        )
    ],
    success=[
        Success(200, "A point for each minute and job type.", wire.StatsHistory, example=examples.HISTORY)
    ],
    problems=["validation"],
)
async def get_stats_history(call: Call) -> Response:
    """Show what happened in each minute, by job type.

    Waiting and running times are quantiles in seconds. They are kept for a day.
    """
    points = await call.queue.stats_history(_window(call, known=("window",)))
    return json_response({"items": [point for point in points if call.caller.covers(point.job_type)]})


@operation(
    resource,
    "GET",
    "/stats/errors",
    scope="read",
    success=[
        Success(200, "Kinds of errors, most frequent first.", wire.StatsErrors, example=examples.ERRORS)
    ],
    problems=["validation"],
)
async def get_stats_errors(call: Call) -> Response:
    """Show the failed attempts of the last day, by job type and error type."""
    _window(call, known=())
    groups = await call.queue.stats_errors(DAY)
    return json_response({"items": [group for group in groups if call.caller.covers(group.job_type)]})


def _window(call: Call, known: Iterable[str]) -> float:
    """Return the seconds to look back; other parameters, and repeated ones, are refused."""
    given = call.query.multi_items()
    for name, _ in given:
        if name not in known:
            raise unknown(name)
    if len(given) > 1:
        raise invalid(parameter("window"), "may be given once")
    window = seconds(given[0][1]) if given else _HOUR
    if window is None or not 1 <= window <= DAY:
        raise invalid(parameter("window"), f"must be a number of seconds from 1 to {DAY:g}")
    return window
