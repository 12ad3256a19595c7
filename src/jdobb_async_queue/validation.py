"""Arguments of the library's calls: checked once, before anything is stored.

Every refusal names the field, what was expected and what came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, get_args

from jdobb_async_queue.encoding import EMPTY, check_text, encode_object
from jdobb_async_queue.errors import CENTURY, shown
from jdobb_async_queue.lifecycle import millis
from jdobb_async_queue.models import WEIGHTS, JobPriority, JobStatus, OnConflict, UniqueUntil
from jdobb_async_queue.records import NewRecord, Retention
from jdobb_async_queue.retry import RetryPolicy

if TYPE_CHECKING:
    from jdobb_async_queue.clock import Ids

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_UNIQUE_KEY = re.compile(r"[!-~\u00a1-\U0010ffff]{1,255}")
_ON_CONFLICT = get_args(OnConflict)
_UNIQUE_UNTIL = get_args(UniqueUntil)
_KEPT = ("complete", "failed", "cancelled")
_NO_SETTINGS = (None, None, None, None)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_INSTANT = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
"""The end of the year 9999: a later millisecond could be stored, but never shown."""
_MIN_LEASE, _MAX_LEASE = 0.1, 86_400.0
MAX_ERROR_LENGTH = 10_000
MAX_TRACEBACK_LENGTH = 20_000
MAX_MESSAGE_LENGTH = 10_000


def name(value: Any, field: str) -> str:
    """Return a job type or id: 1 to 128 characters of ``A-Z a-z 0-9 . _ : -``, as a plain string."""
    if not isinstance(value, str):
        msg = f"{field} must be a string, got {type(value).__name__}"
        raise TypeError(msg)
    if _NAME.fullmatch(value) is None:
        msg = f"{field} must be 1 to 128 characters of A-Z a-z 0-9 . _ : -, got {shown(value)}"
        raise ValueError(msg)
    return str.__str__(value)


def names(values: Iterable[str] | None, field: str) -> tuple[str, ...] | None:
    """Return job types without repeats, or None for all; an empty list is refused."""
    if values is None:
        return None
    if isinstance(values, str):
        msg = f"{field} must be a list of job types, got the string {shown(values)}"
        raise TypeError(msg)
    found = tuple(dict.fromkeys(name(value, field) for value in several(values, field)))
    if not found:
        msg = f"{field} must not be empty; None means every job type"
        raise ValueError(msg)
    return found


def several(values: Any, field: str) -> list[Any]:
    """Return the items of an iterable."""
    if not isinstance(values, Iterable):
        msg = f"{field} must be a list, got {type(values).__name__}"
        raise TypeError(msg)
    return list(values)


def number(value: Any, field: str, *, least: float = 0.0, most: float = CENTURY) -> float:
    """Return a finite number within bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = f"{field} must be a number, got {type(value).__name__}"
        raise TypeError(msg)
    if not least <= value <= most:
        msg = f"{field} must be a number from {least:g} to {most:g}, got {shown(value)}"
        raise ValueError(msg)
    return float(value)


def seconds(value: Any, field: str) -> float:
    """Return a duration of 0 or more seconds (at most a century)."""
    return number(value, field)


def positive(value: Any, field: str) -> float:
    """Return a duration of at least a millisecond."""
    return number(value, field, least=0.001)


def count(value: Any, field: str, *, least: int = 1, most: int = 1_000_000) -> int:
    """Return a whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{field} must be a whole number, got {type(value).__name__}"
        raise TypeError(msg)
    if not least <= value <= most:
        msg = f"{field} must be a whole number from {least} to {most}, got {shown(value)}"
        raise ValueError(msg)
    return value


def lease_ms(value: Any, field: str = "lease") -> int:
    """Return a lease length in milliseconds; it may be 0.1 s to a day."""
    return millis(number(value, field, least=_MIN_LEASE, most=_MAX_LEASE))


def flag(value: Any, field: str) -> bool | None:
    """Return True, False or None."""
    if value is not None and not isinstance(value, bool):
        msg = f"{field} must be True, False or None, got {shown(value)}"
        raise TypeError(msg)
    return value


def progress(value: Any) -> float:
    """Return a progress from 0.0 to 1.0."""
    return number(value, "progress", most=1.0)


def text(value: Any, field: str, limit: int) -> str:
    """Return Unicode text, cut to ``limit`` characters."""
    return check_text(value, field)[:limit]


def optional_text(value: Any, field: str, limit: int) -> str | None:
    """Return Unicode text cut to ``limit`` characters, or None."""
    return None if value is None else text(value, field, limit)


def at(value: Any, field: str, *, down: bool = False) -> int:
    """Return an aware datetime as milliseconds since the epoch, rounded up (or ``down``)."""
    if not isinstance(value, datetime):
        msg = f"{field} must be a datetime, got {type(value).__name__}"
        raise TypeError(msg)
    if value.tzinfo is None or value.utcoffset() is None:
        msg = f"{field} must carry a time zone, got the naive {value.isoformat()}"
        raise ValueError(msg)
    since = value - _EPOCH
    return min(since // _MILLISECOND if down else -(-since // _MILLISECOND), _LAST_INSTANT)


def one_of(value: Any, field: str, allowed: tuple[str, ...]) -> str:
    """Return one of the allowed words."""
    if value not in allowed:
        msg = f"{field} must be one of {', '.join(allowed)}, got {shown(value)}"
        raise ValueError(msg)
    return str(value)


def status(value: Any, field: str = "status") -> str:
    """Return a status by its value or enum member."""
    try:
        return JobStatus(value).value
    except ValueError:
        known = ", ".join(member.value for member in JobStatus)
        msg = f"{field} must be one of {known}, got {shown(value)}"
        raise ValueError(msg) from None


def text_map(value: Any, field: str) -> tuple[tuple[str, str], ...]:
    """Return a mapping of text to text as sorted pairs; None is empty."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        msg = f"{field} must be a mapping, got {type(value).__name__}"
        raise TypeError(msg)
    pairs = (
        (check_text(key, f"a key in {field}"), check_text(item, f"{field}[{shown(key)}]"))
        for key, item in value.items()
    )
    return tuple(sorted(pairs))


def retention(value: Any) -> Retention:
    """Return how long terminal jobs are kept: seconds for all, or a mapping by status; None is for ever."""
    by_status: Mapping[str, Any]
    if isinstance(value, Mapping):
        unknown = [status for status in value if status not in _KEPT]
        if unknown:
            msg = f"retention knows complete, failed and cancelled, got {shown(unknown)}"
            raise ValueError(msg)
        by_status = {**dict.fromkeys(_KEPT, 604_800.0), **value}
    else:
        by_status = dict.fromkeys(_KEPT, value)
    kept = {
        key: None if keep is None else millis(seconds(keep, f"retention.{key}"))
        for key, keep in by_status.items()
    }
    return Retention(**kept)


def job_settings(
    max_attempts: Any, retry: Any, timeout: Any, max_lost: Any, *,
    max_pending: Any = None, schema: Any = None,
) -> bytes | None:  # fmt: skip
    """Return settings as the JSON that backends keep; only what was given is in it."""
    policy: dict[str, Any] = {}
    if retry is not None:
        if not isinstance(retry, RetryPolicy):
            msg = f"retry must be a RetryPolicy, got {type(retry).__name__}"
            raise TypeError(msg)
        policy = retry.model_dump(exclude_unset=True)
    if max_attempts is not None:
        policy["max_attempts"] = count(max_attempts, "max_attempts")
    settings: dict[str, Any] = {"retry": policy} if policy else {}
    if timeout is not None:
        settings["timeout"] = positive(timeout, "timeout")
    if max_lost is not None:
        settings["max_lost"] = count(max_lost, "max_lost")
    if max_pending is not None:
        settings["max_pending"] = count(max_pending, "max_pending", least=0, most=10**12)
    if schema is not None:
        settings["schema"] = json.loads(encode_object(schema, "schema", 262_144))
    return json.dumps(settings).encode() if settings else None


class NewJobs:
    """Turns what a producer asked for into what a backend stores."""

    def __init__(
        self, ids: Ids, *, default_ttl: float | None, max_payload_bytes: int, max_pending: int | None
    ) -> None:
        self._ids = ids
        self._ttl = None if default_ttl is None else millis(positive(default_ttl, "default_ttl"))
        self._limit = count(max_payload_bytes, "max_payload_bytes", most=2**31)
        self._max_pending = (
            None if max_pending is None else count(max_pending, "max_pending", least=0, most=10**12)
        )

    def record(self, new: Mapping[str, Any]) -> NewRecord:
        """Return the validated job of a ``NewJob``'s fields.

        Raises ``ValueError``, ``TypeError`` or ``PayloadTooLarge``.
        """
        limit = self._limit
        job_id, data, metadata, ttl = new["job_id"], new["data"], new["metadata"], new["ttl"]
        own = (new["max_attempts"], new["retry"], new["timeout"], new["max_lost"])
        settings = None if own == _NO_SETTINGS else job_settings(*own)
        unique_key = new["unique_key"]
        return NewRecord(
            id=self._ids.job_id() if job_id is None else name(job_id, "job_id"),
            job_type=name(new["job_type"], "job_type"),
            priority=_weight(new["priority"]),
            data=EMPTY if data is None else encode_object(data, "data", limit),
            metadata=EMPTY if metadata is None else encode_object(metadata, "metadata", limit),
            own_id=job_id is not None,
            **_when(new["delay"], new["run_at"]),
            ttl=self._ttl if ttl is None else millis(positive(ttl, "ttl")),
            settings=settings,
            unique_key=None if unique_key is None else _unique_key(unique_key),
            unique_until=one_of(new["unique_until"], "unique_until", _UNIQUE_UNTIL),
            on_conflict=one_of(new["on_conflict"], "on_conflict", _ON_CONFLICT),
            max_pending=self._max_pending,
            request_id=optional_text(new["request_id"], "request_id", 255),
            traceparent=optional_text(new["traceparent"], "traceparent", 255),
        )


def _when(delay: Any, run_at: Any) -> dict[str, Any]:
    if delay is None and run_at is None:
        return {}
    if run_at is None:
        return {"delay": millis(seconds(delay, "delay"))}
    if delay is not None:
        msg = "give either delay or run_at, not both"
        raise ValueError(msg)
    return {"run_at": at(run_at, "run_at")}


def _weight(priority: Any) -> int:
    if isinstance(priority, JobPriority):
        return priority.weight
    if isinstance(priority, str) and priority in WEIGHTS:
        return WEIGHTS[priority]
    msg = f"priority must be one of low, normal, high, got {shown(priority)}"
    raise ValueError(msg)


def _unique_key(value: Any) -> str:
    check_text(value, "unique_key")
    if _UNIQUE_KEY.fullmatch(value) is None or not value.isprintable():
        msg = f"unique_key must be 1 to 255 visible characters, got {shown(value)}"
        raise ValueError(msg)
    return str.__str__(value)
