"""Between what the scripts say and records."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from jdobb_async_queue.backends import refusals
from jdobb_async_queue.backends.redis.keys import STATUSES
from jdobb_async_queue.errors import QueueFull
from jdobb_async_queue.records import JobRecord, TypeRecord, UpdateRecord, WorkerRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jdobb_async_queue.records import NewRecord, WorkerBeat

_KINDS = {b"s": "status", b"p": "progress", b"l": "log", b"c": "custom"}
_UNTIL_STARTED = {None: "finished", "1": "started"}
_NO_TYPE = TypeRecord("")


# -- payloads ------------------------------------------------------------------------------------------


def pack(new: NewRecord) -> bytes:
    """Return what is stored of a new job beside its hash: five parts behind a line with their lengths.

    Data, metadata, settings, request id, trace; ``-`` is the length of one that is absent. Most jobs of the
    library have the first two, which takes 0.5 µs then and 2.5 in general.
    """
    if new.settings is None and new.request_id is None and new.traceparent is None:
        return b"%d %d - - -\n%b%b" % (len(new.data), len(new.metadata), new.data, new.metadata)
    parts = (
        new.data,
        new.metadata,
        new.settings,
        None if new.request_id is None else new.request_id.encode(),
        None if new.traceparent is None else new.traceparent.encode(),
    )
    lengths = b" ".join(b"-" if part is None else b"%d" % len(part) for part in parts)
    return lengths + b"\n" + b"".join(part for part in parts if part is not None)


def unpack(packed: bytes) -> list[bytes | None]:
    """Return the five parts of a payload."""
    head, _, _ = packed.partition(b"\n")
    at = len(head) + 1
    parts: list[bytes | None] = []
    for length in head.split(b" "):
        if length == b"-":
            parts.append(None)
        else:
            parts.append(packed[at : at + int(length)])
            at += int(length)
    return parts


# -- jobs ----------------------------------------------------------------------------------------------


def to_record(shown: Sequence[Any], settings_of: Callable[[str], TypeRecord | None]) -> JobRecord:
    """Return the job that a script shows; see ``shown`` of ``lua/jobs.lua``."""
    stored, ends, payload, results, errors = shown
    job: dict[str, str] = from_json(stored)
    get = job.get
    data, metadata, settings, request_id, traceparent = unpack(payload)
    job_type, created_at = job["t"], int(job["c"])
    known = settings_of(job_type) or _NO_TYPE
    return JobRecord(
        job["id"],
        job_type,
        STATUSES[job["s"]],
        int(job["w"]),
        data or b"{}",
        metadata or b"{}",
        created_at,
        int(get("u", created_at)),
        int(get("r", created_at)),
        int(job["q"], 16),
        int(get("v", 1)),
        results or None,
        get("e"),
        b"[" + b", ".join(errors) + b"]" if errors else None,
        float(get("pg", 0.0)),
        get("m"),
        _int(get("a")),
        _int(get("f")),
        _int(get("ttl")),
        _int(get("sb")),
        int(get("n", 0)),
        int(get("fl", 0)),
        int(get("ls", 0)),
        settings,
        get("uk"),
        _UNTIL_STARTED[get("us")],
        "hk" in job,
        get("wi"),
        get("k"),
        int(ends) if ends else None,
        int(get("ln", 0)),
        get("st"),
        _int(get("x")),
        int(get("l", 0)),
        int(get("tr", 0)),
        _text(request_id),
        _text(traceparent),
        known.operator,
        known.published,
    )


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _int(value: bytes | str | None) -> int | None:
    return None if value is None else int(value)


# -- updates -------------------------------------------------------------------------------------------


def to_updates(shown: Sequence[Any], lines: Sequence[bytes] | None, record: JobRecord) -> list[UpdateRecord]:
    """Return a job's updates, oldest first; without a log they are told from the job itself."""
    if lines is not None:
        return [_update(line) for line in lines]
    return list(_usual_updates(_int(json.loads(shown[0]).get("l1")), record))


def _usual_updates(first_start: int | None, record: JobRecord) -> Iterator[UpdateRecord]:
    if first_start is not None:
        yield UpdateRecord(first_start, "status", "processing", record.attempt, 0.0, record.started_at or 0)
    if record.completed_at is not None and record.last_seq:
        yield UpdateRecord(
            record.last_seq, "status", record.status, record.attempt, record.progress, record.completed_at,
            record.message, record.error,
        )  # fmt: skip


def _update(line: bytes) -> UpdateRecord:
    seq, kind, status, attempt, progress, at, message_size, error_size, rest = line.split(b"|", 8)
    message, rest = _cut(rest, message_size)
    error, rest = _cut(rest, error_size)
    return UpdateRecord(
        int(seq), _KINDS[kind], STATUSES[status.decode()], int(attempt), float(progress), int(at),
        message, error, rest or None,
    )  # fmt: skip


def _cut(rest: bytes, size: bytes) -> tuple[str | None, bytes]:
    if size == b"-":
        return None, rest
    return rest[: int(size)].decode(), rest[int(size) :]


# -- job types -----------------------------------------------------------------------------------------


def to_type(job_type: str, flat: Sequence[bytes]) -> TypeRecord:
    """Return a job type of its hash."""
    found = _fields(flat)
    return TypeRecord(
        job_type,
        found.get(b"o"),
        found.get(b"p"),
        b"paused" in found,
        _text(found.get(b"reason")),
        _int(found.get(b"until")),
    )


# -- workers -------------------------------------------------------------------------------------------


_LISTS = frozenset({"job_types", "jobs", "stopping"})


def from_beat(beat: WorkerBeat) -> list[str | int]:
    """Return a worker's id, then what it says of itself: names and values."""
    said = asdict(beat)
    told: list[str | int] = [said.pop("id")]
    for name, value in said.items():
        if value is not None:
            told += [name, json.dumps(value) if name in _LISTS else value]
    return told


def to_worker(row: Sequence[Any]) -> WorkerRecord:
    """Return a worker of its id, its last heartbeat and its entry."""
    id_, beat, entry = row
    found = _fields(entry)
    get = found.get
    return WorkerRecord(
        id_.decode(),
        get(b"host", b"").decode(),
        int(get(b"pid", 0)),
        int(get(b"slots", 1)),
        _list(get(b"job_types")),
        _list(get(b"jobs")),
        _list(get(b"stopping")),
        int(found[b"started_at"]),
        int(float(beat)),
        get(b"directive", b"run").decode(),
    )


def _list(value: bytes | None) -> tuple[str, ...]:
    return () if value is None else tuple(json.loads(value))


# -- refusals ------------------------------------------------------------------------------------------


def to_refusal(answer: Sequence[bytes]) -> Exception:
    """Return why new jobs were not stored; see ``lua/store.lua``."""
    word, *rest = (part.decode() for part in answer)
    match word:
        case "exists":
            return refusals.exists(rest[0])
        case "duplicate":
            holder, job_type, unique_key = rest
            return refusals.duplicate(job_type, unique_key, holder)
        case "full":
            return QueueFull(rest[0], int(rest[1]))
        case "reused":
            return refusals.reused(rest[0])
    return refusals.gone(rest[0])
