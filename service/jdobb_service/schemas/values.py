"""What the fields of requests are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

REQUEST = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""For every model that a request is checked by."""
_CENTURY = 3_155_760_000.0


def parse_instant(value: Any) -> datetime:
    """Return an RFC 3339 date-time in UTC. Raises ``ValueError``."""
    if isinstance(value, str) and len(value) <= 40 and "T" in value.upper():  # noqa: PLR2004 - none is longer
        try:
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    msg = "must be an RFC 3339 date-time with an offset, such as 2030-01-31T08:00:00Z"
    raise ValueError(msg)


def _within_a_century(value: datetime) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    if not epoch <= value <= datetime.now(UTC) + timedelta(seconds=_CENTURY):
        msg = "must be between 1970 and a century from now"
        raise ValueError(msg)
    return value


def _without_fraction(value: Any) -> Any:
    """Return 17 for 17.0, which is an integer to JSON Schema and what some languages print for it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant, json_schema_input_type=datetime),
    AfterValidator(_within_a_century),
]
Seconds = Annotated[float, Field(ge=0, le=_CENTURY)]
PositiveSeconds = Annotated[float, Field(ge=0.001, le=_CENTURY)]
WHOLE = BeforeValidator(_without_fraction)
"""For each integer of a request, after its bounds."""
Attempts = Annotated[int, Field(ge=1, le=1_000_000), WHOLE]
