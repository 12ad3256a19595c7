"""What stands for an API key in a browser: signed addresses and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from jdobb_service.schemas.values import REQUEST, WHOLE, Name


class NewEventToken(BaseModel):
    """Which jobs an address is to be signed for."""

    model_config = ConfigDict(**REQUEST, json_schema_extra={"examples": [{"jobs": ["watched"]}]})

    jobs: Annotated[list[Name], Field(min_length=1, max_length=100)]
    ttl: Annotated[int, Field(ge=1, le=86_400), WHOLE] = Field(
        default=600, description="Seconds within which a stream must be opened; an open one goes on."
    )


class EventToken(BaseModel):
    """What `?sig=` takes at the event streams of the jobs."""

    sig: str
    expires_at: datetime


class WhoIsThere(BaseModel):
    """Who calls, and what they may do."""

    caller: str = Field(description="The id of the API key; `anonymous` without.")
    scopes: list[str]


class Session(BaseModel):
    """A session; a service without API keys needs none and sets no cookie."""

    caller: str = Field(description="The id of the API key.")
    scopes: list[str]
    expires_at: datetime
