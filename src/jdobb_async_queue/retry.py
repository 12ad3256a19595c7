"""When a failed attempt is tried again, and after how long."""

from __future__ import annotations

import fnmatch
import random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from jdobb_async_queue.encoding import check_text
from jdobb_async_queue.errors import shown


class RetryPolicy(BaseModel):
    """How often and how late a failed attempt is repeated.

    The delay after the n-th failure is ``min(cap, base * factor**(n-1))`` seconds, changed by up to
    ``jitter`` (a fraction, both ways) and capped again. ``give_up_on`` names errors that are never
    retried: exception classes, or type names as ``fail`` carries them (``"ValueError"``,
    ``"billing.*"``). Fields left out are taken from the job type, then from the defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    max_attempts: int = Field(default=1, ge=1, le=1_000_000)
    base: float = Field(default=1.0, ge=0, le=31_536_000)
    factor: float = Field(default=2.0, ge=1, le=1000)
    cap: float = Field(default=3600.0, ge=0, le=31_536_000)
    jitter: float = Field(default=0.2, ge=0, le=1)
    give_up_on: tuple[str, ...] = ()

    @field_validator("give_up_on", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        values = (value,) if isinstance(value, (str, type)) else value
        if not isinstance(values, (tuple, list, set, frozenset)):
            msg = f"give_up_on must be exception classes or type names, got {shown(value)}"
            raise ValueError(msg)  # noqa: TRY004 - pydantic reports a ValueError as the field's
        return tuple(_type_name(item) for item in values)

    def delay(self, failures: int, rng: random.Random) -> float:
        """Return the seconds to wait after the ``failures``-th failure (1 after the first)."""
        if self.base == 0 or self.cap == 0:
            return 0.0
        try:
            raw = self.base * self.factor ** (failures - 1)
        except OverflowError:
            raw = self.cap
        raw = min(self.cap, raw)
        if self.jitter:
            raw *= 1 + self.jitter * (2 * rng.random() - 1)
        return min(self.cap, raw)

    def gives_up_on(self, type_names: tuple[str, ...]) -> bool:
        """Tell whether an error with any of these type names is never retried."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.give_up_on for name in type_names)


def _type_name(item: Any) -> str:
    if isinstance(item, str):
        return check_text(item, "give_up_on")
    if isinstance(item, type) and issubclass(item, BaseException):
        return f"{item.__module__}.{item.__qualname__}"
    msg = f"give_up_on must hold exception classes or type names, got {shown(item)}"
    raise ValueError(msg)


def error_type_names(error: BaseException) -> tuple[str, ...]:
    """Return the names by which a policy may know an exception: its classes, bare and qualified."""
    names: list[str] = []
    for cls in type(error).__mro__:
        if cls is object:
            break
        names += (cls.__name__, f"{cls.__module__}.{cls.__qualname__}")
    return tuple(names)
