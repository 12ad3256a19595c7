"""Problem details on the wire."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ProblemPlace(BaseModel):
    """One place in the request, and what is wrong with it."""

    pointer: str = Field(
        description="A JSON pointer into the body (`#/data/to`) or a query parameter (`?limit`)."
    )
    detail: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description="`urn:jdobb:problem:` and the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Tells kinds of problems apart; new ones may come.")
    request_id: str | None
    errors: list[ProblemPlace] = Field(default=[])
    job_id: str = Field(default="", description="The job that is in the way, where there is one.")
    limit: int = Field(default=0, description="The most bytes that are taken.")
