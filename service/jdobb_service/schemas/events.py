"""What an event stream carries."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from jdobb_async_queue import JobStatus


class StreamEnd(BaseModel):
    """Data of the ``end`` event: nothing can follow."""

    job_id: str
    seq: int = Field(description="Of the last update; also the id of the event.")
    status: JobStatus | None = Field(description="The job's final status; null when the job was removed.")


class FeedGap(BaseModel):
    """Data of the ``gap`` event of job types: updates may be missing before it, look at the jobs afresh."""

    job_types: list[str] = Field(description="Which types are followed from here on.")


class ServerShutdown(BaseModel):
    """Data of the ``server.shutdown`` event: connect again, another instance goes on."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    reason: Literal["shutdown"] = "shutdown"
