"""Figures on the wire."""

from __future__ import annotations

from pydantic import BaseModel, Field

from jdobb_async_queue import ErrorGroup, HistoryPoint
from jdobb_service.schemas.job_types import StatusCounts


class Figures(BaseModel):
    """How jobs stand now."""

    ready: int = Field(description="Jobs that a worker may start now.")
    running: int
    delayed: int = Field(description="Jobs that wait for their time.")
    oldest_ready_age: float | None = Field(description="Seconds; null when nothing is ready.")
    counts: StatusCounts


class JobTypeFigures(Figures):
    """How the jobs of a type stand now."""

    paused: bool


class Stats(Figures):
    """How all jobs stand now, and those of each type."""

    job_types: dict[str, JobTypeFigures] = Field(description="By the name of the type.")


class StatsHistory(BaseModel):
    """Minutes in which something happened, oldest first."""

    items: list[HistoryPoint]


class StatsErrors(BaseModel):
    """Failed attempts of the last day by job type and error type, most frequent first."""

    items: list[ErrorGroup]
