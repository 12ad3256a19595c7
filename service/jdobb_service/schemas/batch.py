"""Batches of jobs on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from jdobb_service.schemas.jobs import Job, NewJob
from jdobb_service.schemas.values import REQUEST

MAX_JOBS = 1000


class NewJobs(BaseModel):
    """Jobs to be enqueued in one step."""

    model_config = REQUEST

    jobs: Annotated[list[NewJob], Field(max_length=MAX_JOBS)]


class Jobs(BaseModel):
    """Jobs in the order in which they were asked for."""

    items: list[Job]
