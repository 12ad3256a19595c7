"""Job types on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from jdobb_service.schemas.jobs import RetryPolicy
from jdobb_service.schemas.values import REQUEST, WHOLE, Attempts, Instant, PositiveSeconds


class JobTypeSettings(BaseModel):
    """An operator's settings of a job type. What is left out is the handler's, else the default."""

    model_config = ConfigDict(
        **REQUEST,
        json_schema_extra={
            "examples": [{"retry": {"max_attempts": 5, "base": 2}, "timeout": 60, "max_pending": 10_000}]
        },
    )

    retry: RetryPolicy | None = None
    timeout: PositiveSeconds | None = Field(default=None, description="Seconds for one attempt.")
    max_lost: Attempts | None = Field(default=None, description="Lost leases before a job fails.")
    max_pending: Annotated[int, Field(ge=0, le=10**12), WHOLE] | None = Field(
        default=None, description="Pending jobs that the type may have."
    )
    payload_schema: dict[str, Any] | None = Field(
        default=None,
        alias="schema",
        description="JSON Schema of the payload, at most 64 KiB, with references inside it only. A handler's "
        "own model wins over it.",
    )


class Pause(BaseModel):
    """Why and until when no job of the type is started."""

    model_config = REQUEST

    reason: Annotated[str, Field(max_length=1000)] | None = None
    until: Instant | None = Field(default=None, description="When it resumes by itself.")


class StatusCounts(BaseModel):
    """Numbers of jobs by status."""

    pending: int
    processing: int
    complete: int
    failed: int
    cancelled: int


class JobType(BaseModel):
    """A job type: its settings in force, and how it stands now."""

    job_type: str
    retry: RetryPolicy
    timeout: float | None = Field(description="Seconds for one attempt.")
    max_lost: int
    max_pending: int | None
    payload_schema: dict[str, Any] | None = Field(
        alias="schema", description="JSON Schema that payloads are checked by."
    )
    paused: bool
    pause_reason: str | None
    pause_until: datetime | None
    ready: int
    running: int
    delayed: int
    oldest_ready_age: float | None = Field(description="Seconds; null when nothing is ready.")
    counts: StatusCounts


class JobTypeList(BaseModel):
    """Every job type that has settings or jobs, by name."""

    items: list[JobType]
