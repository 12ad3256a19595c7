"""The service's own state on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class BackendState(BaseModel):
    """The store of the jobs."""

    name: str = Field(description="`memory`, `sqlite`, `redis` or the name of a backend of your own.")
    reachable: bool
    durability: str = Field(
        description="What an acknowledged job survives: `none` not even the end of this process, `normal` a "
        "killed process, `full` the loss of power too."
    )


class WorkerState(BaseModel):
    """The worker inside this process."""

    enabled: bool
    running: bool
    restarts: int = Field(description="How often its loop ended by an error and was started again.")
    failing: list[str] = Field(description="Its loops whose last turn failed; they pause and try again.")


class Readiness(BaseModel):
    """This instance should be sent requests."""

    status: Literal["ready"] = "ready"
    backend: BackendState
    worker: WorkerState
