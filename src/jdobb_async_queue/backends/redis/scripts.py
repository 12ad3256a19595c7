"""The scripts: what each is put together from, and the typed doors to their operations."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jdobb_async_queue.backends.redis.figures import kind_in_field
from jdobb_async_queue.backends.redis.wire import pack
from jdobb_async_queue.lifecycle import millis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jdobb_async_queue.backends.base import ClaimRequest, LeaseRef
    from jdobb_async_queue.models import Idempotency
    from jdobb_async_queue.records import NewRecord, Retention
    from jdobb_async_queue.transitions import AttemptFailure, Transition

Argument = bytes | str | int

_READING = ("base", "settings", "jobs")
_WRITING = ("again", "wake", "indexes", "figures")
_LAYERS = {
    "plain": (("plain",),),
    "store": ((*_READING, *_WRITING), ("store", "run")),
    "work": (
        (*_READING, *_WRITING),
        ("updates", "moves"),
        ("complete", "fail", "release", "cancel", "retry", "report", "sweep", "ready", "claim", "heartbeat",
         "workers", "types", "delete", "full", "run"),
    ),
    "read": (_READING, ("ready", "read", "run")),
}  # fmt: skip
"""The parts of each script, in layers: each is a function inside of the one before.

For each variable of its own layer that a Lua function uses, all later ones of that layer are gone through
when the function is made, and a call makes them all. In one layer that cost 63 to 106 µs a call, so 37.
"""
_NONE = ""


@dataclass(frozen=True, slots=True)
class Script:
    """One script as Redis gets it."""

    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """Return ``plain``, ``store``, ``work`` or ``read``: the operations of one lane."""
    folder = resources.files("jdobb_async_queue.backends.redis") / "lua"
    layers = ["\n".join((folder / f"{part}.lua").read_text() for part in layer) for layer in _LAYERS[name]]
    text = "\nreturn (function()\n".join(layers) + "\nend)()" * (len(layers) - 1)
    return Script(name, text, hashlib.sha1(text.encode()).hexdigest())  # noqa: S324 - it is how Redis names scripts


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a script, with its arguments.

    ``weight`` is about how many jobs it concerns; ``job_id`` is the one that it changes, if that is one.
    """

    name: str
    arguments: Sequence[Argument]
    weight: int = 1
    job_id: str | None = None

    @property
    def size(self) -> int:
        """Return about how many bytes it takes."""
        return sum(len(argument) for argument in self.arguments if not isinstance(argument, int))


# -- doors ---------------------------------------------------------------------------------------------


def is_plain(new: NewRecord) -> bool:
    """Tell whether a new job may go by ``plain``: nothing about it is special but what its payload holds."""
    return (
        new.unique_key is None
        and new.ttl is None
        and new.run_at is None
        and not new.delay
        and (new.settings is None or b'"max_lost"' not in new.settings)
    )


def plain(jobs: Sequence[NewRecord]) -> Operation:
    """Insert new jobs of which each is plain, if nothing speaks against it."""
    arguments: list[Argument] = []
    for new in jobs:
        arguments += (new.id, new.job_type, new.priority, _optional(new.max_pending), pack(new))
    return Operation("plain", arguments, len(jobs))


def store(
    jobs: Sequence[NewRecord], idempotency: Idempotency | None, same: frozenset[int] = frozenset()
) -> Operation:
    """Insert new jobs; ``same`` are the places of those that are known to meet their equal."""
    arguments: list[Argument] = [_NONE, _NONE, 0]
    if idempotency is not None:
        key = f"{idempotency.scope}\0{idempotency.key}"
        arguments = [key, idempotency.fingerprint, millis(idempotency.keep)]
    for place, new in enumerate(jobs):
        arguments += _new(new, is_same=place in same)
    return Operation("store", arguments, len(jobs))


def _new(new: NewRecord, *, is_same: bool) -> tuple[Argument, ...]:
    own = json.loads(new.settings) if new.settings else {}
    return (
        new.id,
        new.job_type,
        new.priority,
        new.delay,
        _optional(new.run_at),
        _optional(new.ttl),
        _optional(own.get("max_lost")),
        _optional(new.unique_key),
        _flag(new.unique_until == "started"),
        new.on_conflict,
        _optional(new.max_pending),
        _flag(is_same),
        pack(new),
    )


def claim(request: ClaimRequest) -> Operation:
    """Take the best ready jobs."""
    types = request.job_types
    return Operation(
        "claim",
        [
            request.token,
            request.limit,
            request.lease,
            _optional(request.worker_id),
            _optional(request.retention.failed),
            -1 if types is None else len(types),
            *(types or ()),
        ],
        request.limit,
    )


def move(change: Transition, *, show: bool) -> Operation:
    """Apply a guarded transition; ``show`` asks for the job afterwards."""
    common = (
        change.job_id,
        _said(change.lease_token),
        _optional(change.version),
        _flag(show),
    )
    return Operation(change.verb, [*common, *_OWN[change.verb](change)], job_id=change.job_id)


def _complete(change: Transition) -> Iterable[Argument]:
    return change.results or b"", _keep(change)


def _fail(change: Transition) -> Iterable[Argument]:
    failure = change.failure
    assert failure is not None  # noqa: S101 - its constructors see to it
    return (
        _optional(change.delay),
        _fragment(failure),
        kind_in_field(failure.type[:128]),
        failure.message[:300],
        _said(failure.message),
        _keep(change),
    )


def _fragment(failure: AttemptFailure) -> str:
    """Return an error as the inside of a JSON object; the script adds the attempt and the instant."""
    shown = {"type": failure.type, "message": failure.message, "traceback": failure.traceback}
    return json.dumps(shown)[1:-1]


_OWN: dict[str, Callable[[Transition], Iterable[Argument]]] = {
    "complete": _complete,
    "fail": _fail,
    "release": lambda change: (_optional(change.delay),),
    "cancel": lambda change: (_said(change.error), _keep(change)),
    "retry": lambda _: (),
    "rescue": lambda change: (_said(change.error), _keep(change)),
    "expire": lambda change: (_said(change.error), _keep(change)),
    "update": lambda change: (_number(change.progress), _said(change.message)),
    "log": lambda change: (_said(change.message),),
    "send": lambda change: (_number(change.progress), _said(change.message), change.results or b""),
}


def heartbeat(leases: Sequence[LeaseRef]) -> Operation:
    """Renew leases, or look at them."""
    arguments = [part for ref in leases for part in (ref.job_id, ref.token, _flag(ref.extend))]
    return Operation("heartbeat", arguments)


def sweep(limit: int, retention: Retention) -> Operation:
    """Rescue and expire what is due."""
    return Operation("sweep", [limit, _optional(retention.failed)])


def set_type(job_type: str, fields: dict[str, Argument | None]) -> Operation:
    """Change a job type; None removes a field."""
    flat = [part for name, value in fields.items() for part in (name, _optional(value))]
    return Operation("set_type", [job_type, *flat])


def layer(name: str, settings: bytes) -> dict[str, Argument | None]:
    """Return the fields for one layer of a type's settings: ``o`` the operator's, ``p`` the published."""
    parsed = json.loads(settings)
    return {name: settings, f"{name}l": parsed.get("max_lost"), f"{name}m": parsed.get("max_pending")}


def _optional(value: Argument | None) -> Argument:
    return _NONE if value is None else value


def _said(value: str | None) -> str:
    return _NONE if value is None else f"={value}"


def _number(value: float | None) -> str:
    return _NONE if value is None else repr(value)


def _flag(value: bool) -> str:  # noqa: FBT001 - it is what becomes of a bool
    return "1" if value else _NONE


def _keep(change: Transition) -> Argument:
    if change.retention is None or change.status is None:
        return _NONE
    keep: int | None = getattr(change.retention, change.status, None)
    return _optional(keep)
