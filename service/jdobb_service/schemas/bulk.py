"""One action on many jobs, on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from jdobb_service.schemas.values import REQUEST, Instant, Name

MAX_IDS = 1000

Action = Literal["cancel", "retry", "delete"]
Status = Literal["pending", "processing", "complete", "failed", "cancelled"]


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class BulkFilter(BaseModel):
    """Which jobs; those that fit every field that is given. At least one must be."""

    model_config = REQUEST

    status: (
        Annotated[
            list[Status],
            Field(min_length=1),
            BeforeValidator(_several, json_schema_input_type=Status | list[Status]),
        ]
        | None
    ) = Field(default=None, description="One or several.")
    job_type: (
        Annotated[
            list[Name],
            Field(min_length=1, max_length=1000),
            BeforeValidator(_several, json_schema_input_type=Name | list[Name]),
        ]
        | None
    ) = Field(default=None, description="One or several.")
    created_after: Instant | None = None
    created_before: Instant | None = None
    metadata: Annotated[dict[str, str], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Jobs whose metadata has these strings; needs the scope `read` too."
    )

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if all(value is None for _, value in self):
            msg = "an empty filter would take every job: give at least one field"
            raise ValueError(msg)
        return self


class BulkChange(BaseModel):
    """What is to be done to which jobs: either those that a filter finds, or those with these ids."""

    model_config = REQUEST

    action: Action
    filter: BulkFilter | None = None
    ids: Annotated[list[Name], Field(min_length=1, max_length=MAX_IDS)] | None = None
    dry_run: bool = Field(default=False, description="Change nothing, only tell.")

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if (self.filter is None) == (self.ids is None):
            msg = "give either filter or ids"
            raise ValueError(msg)
        return self


class BulkRefusal(BaseModel):
    """A job that was not changed, and the code of the problem that a single call would have met."""

    id: str
    code: str


class BulkResult(BaseModel):
    """What one call did, to a bounded number of jobs."""

    matched: int = Field(description="Jobs that were found, at most 1,000.")
    done: int = Field(description="Jobs that were changed; 0 in a dry run.")
    failed: list[BulkRefusal]
    more: bool = Field(description="There may be more: repeat the call, for as long as it gets any done.")
