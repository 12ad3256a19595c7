"""What HTTP workers send and get."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jdobb_service.schemas.jobs import Job
from jdobb_service.schemas.values import REQUEST, WHOLE, Name, Seconds

MAX_CLAIM = 100
MAX_LEASES = 1000

Token = Annotated[str, Field(min_length=1, max_length=255)]


class Claim(BaseModel):
    """Which jobs a worker wants. Durations are seconds."""

    model_config = ConfigDict(
        **REQUEST,
        json_schema_extra={"examples": [{"worker_id": "mailer-1", "job_types": ["email"], "wait": 30}]},
    )

    worker_id: Name = Field(description="A name of the worker's own, new at each start.")
    job_types: Annotated[list[Name], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Absent: every job type that the API key is for."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_CLAIM), WHOLE] = 1
    wait: Annotated[float, Field(ge=0, le=30)] = Field(
        default=0.0, description="How long to wait for the first job when none is ready."
    )
    lease: Annotated[float, Field(ge=1, le=86_400)] | None = Field(
        default=None, description="How long a claim lasts unless renewed. Absent: the service's setting."
    )


class LeaseRef(BaseModel):
    """A lease that a worker believes to hold."""

    model_config = REQUEST

    job_id: Name
    lease_token: Token


class Heartbeat(BaseModel):
    """Who lives, and which leases are to be renewed."""

    model_config = REQUEST

    worker_id: Name
    leases: Annotated[list[LeaseRef], Field(max_length=MAX_LEASES)] = []


class Progress(BaseModel):
    """How far a job is; it renews the lease, also with nothing else in it."""

    model_config = REQUEST

    lease_token: Token
    progress: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="From 0.0 to 1.0; a lower one than before is ignored."
    )
    message: str | None = Field(default=None, description="Cut to 10,000 characters.")


class Completion(BaseModel):
    """What a job gave."""

    model_config = REQUEST

    lease_token: Token
    results: dict[str, Any] | None = None


class Fault(BaseModel):
    """Why an attempt failed; long text is cut."""

    model_config = REQUEST

    type: str | None = Field(default=None, description="The kind of error; policies and figures group by it.")
    message: str
    traceback: str | None = None


class Failure(BaseModel):
    """An attempt that failed."""

    model_config = REQUEST

    lease_token: Token
    error: Fault
    retry: bool | None = Field(
        default=None, description="False: fail the job now. Absent: as its retry policy says."
    )
    retry_in: Seconds | None = Field(default=None, description="A delay that wins over the policy's.")


class Release(BaseModel):
    """A job given back unused: at its old place, or ready after ``delay`` seconds."""

    model_config = REQUEST

    lease_token: Token
    delay: Seconds | None = None


class ClaimedJob(Job):
    """A job together with the lease on it."""

    lease_token: str = Field(description="Goes with every call about this attempt; tell it nobody.")
    lease_expires_in: float = Field(description="Seconds until the lease ends unless it is renewed.")


class ClaimedJobs(BaseModel):
    """What was claimed, best first."""

    jobs: list[ClaimedJob]


class LeaseState(BaseModel):
    """How a lease stands; not ``ok``: stop working on the job."""

    job_id: str
    status: Literal["ok", "lost", "cancelled"]
    lease_expires_in: float = Field(description="Seconds; 0 when it is not held any more.")


class HeartbeatAnswer(BaseModel):
    """How the leases stand, and what the worker has been told."""

    leases: list[LeaseState] = Field(description="One for each that was sent, in that order.")
    directive: Literal["run", "quiet", "stop"] = Field(
        description="`quiet`: claim nothing more. `stop`: finish or release what runs, then end."
    )


class ProgressAnswer(BaseModel):
    """How the job's lease stands; ``cancelled``: stop working on it."""

    status: Literal["ok", "cancelled"]
    lease_expires_in: float = Field(description="Seconds; 0 when it is not held any more.")
