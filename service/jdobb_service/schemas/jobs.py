"""Jobs on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

import jdobb_async_queue
from jdobb_async_queue import AttemptError, JobPriority, JobStatus
from jdobb_service.schemas.values import REQUEST, Attempts, Instant, Name, PositiveSeconds, Seconds


class RetryPolicy(BaseModel):
    """A retry policy: the delay after the n-th failure is min(cap, base * factor**(n-1)), with jitter."""

    model_config = REQUEST

    max_attempts: Attempts = 1
    base: Annotated[float, Field(ge=0, le=31_536_000)] = 1.0
    factor: Annotated[float, Field(ge=1, le=1000)] = 2.0
    cap: Annotated[float, Field(ge=0, le=31_536_000)] = 3600.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.2
    give_up_on: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)] = []

    def as_given(self) -> jdobb_async_queue.RetryPolicy:
        """Return the library's policy with the fields that were given: the others come from elsewhere."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return jdobb_async_queue.RetryPolicy(**given)


class NewJob(BaseModel):
    """A job to be enqueued. Durations are seconds."""

    model_config = ConfigDict(
        **REQUEST,
        json_schema_extra={
            "examples": [{"job_type": "echo", "data": {"text": "hello"}, "priority": "high", "ttl": 3600}]
        },
    )

    job_type: Name = Field(description="Which handler is to run it.")
    data: dict[str, Any] = Field(default={}, description="The handler's input.")
    priority: Literal["low", "normal", "high"] = "normal"
    ttl: PositiveSeconds | None = Field(
        default=None, description="Within which the first attempt must have started, else the job fails."
    )
    metadata: dict[str, Any] | None = Field(
        default=None, description="Kept with the job; lists can filter by its string values."
    )
    id: Name | None = Field(default=None, description="An id of your own.")
    delay: Seconds | None = Field(default=None, description="Before which the job may not start.")
    run_at: Instant | None = Field(default=None, description="Before which the job may not start.")
    timeout: PositiveSeconds | None = Field(default=None, description="For one attempt.")
    max_attempts: Attempts | None = Field(default=None, description="Wins over the retry policy's.")
    retry: RetryPolicy | None = None
    max_lost: Attempts | None = Field(default=None, description="Lost leases before the job fails.")
    unique_key: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="At most one live job of the type holds it."
    )
    unique_until: Literal["finished", "started"] = "finished"
    on_conflict: Literal["return", "reject", "replace"] = Field(
        default="return", description="What meets a live job that holds the unique key."
    )

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.delay is not None and self.run_at is not None:
            msg = "give either delay or run_at, not both"
            raise ValueError(msg)
        return self


class Cancellation(BaseModel):
    """Why a job is cancelled; the reason becomes its ``error``."""

    model_config = REQUEST

    reason: Annotated[str, Field(max_length=10_000)] | None = None


MAX_PAGE = 200
"""Jobs on a page of a list, at most."""


class JobSummary(BaseModel):
    """A job without what may be large. Instants are UTC, durations are seconds."""

    id: str
    job_type: str
    status: JobStatus
    priority: JobPriority
    progress: float = Field(description="From 0.0 to 1.0.")
    message: str | None
    error: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    ttl: float | None
    attempt: int = Field(description="How often it was started.")
    failures: int
    losses: int = Field(description="How many leases were lost.")
    max_attempts: int
    max_lost: int
    run_at: datetime
    started_at: datetime | None
    timeout: float | None
    unique_key: str | None
    version: int = Field(description="Grows with each change; the ETag carries it.")
    worker_id: str | None
    request_id: str | None
    traceparent: str | None


class Job(JobSummary):
    """A job. Instants are UTC, durations are seconds."""

    data: dict[str, Any]
    results: dict[str, Any] | None = Field(description="What the handler returned.")
    errors: list[AttemptError] = Field(description="Why attempts failed, the last 20.")


class JobListItem(JobSummary):
    """A job in a list; the last three only if ``include`` names them."""

    data: dict[str, Any] = Field(default={})
    results: dict[str, Any] | None = Field(default=None)
    errors: list[AttemptError] = Field(default=[])


class JobList(BaseModel):
    """A page of jobs; ``next_cursor`` is null at the end."""

    items: list[JobListItem]
    next_cursor: str | None
