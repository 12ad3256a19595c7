"""Handlers of the service that the dashboard is tested on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from jdobb_async_queue import JobContext, JobRouter

router = JobRouter()


class Greeting(BaseModel):
    """Whom to greet, and how."""

    name: str = Field(min_length=1, description="Who is greeted.")
    times: int = 1
    style: Literal["plain", "loud"] = "plain"
    politely: bool = False


class Note(BaseModel):
    """A text of any number of lines."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "milk"}, {"text": "eggs"}]})

    text: str | SkipJsonSchema[None] = None
    place: str | SkipJsonSchema[None] = Field(default=None, max_length=100)


@router.handler("note", data_model=Note)
async def note(ctx: JobContext) -> None:
    """Keep it."""


@router.handler("greet", data_model=Greeting)
async def greet(ctx: JobContext) -> dict:
    await ctx.update(0.5, "clearing the throat")
    return {"said": ctx.data}


@router.handler("burst", max_attempts=1)
async def burst(ctx: JobContext) -> None:
    raise ValueError(ctx.data.get("why", "no reason"))
