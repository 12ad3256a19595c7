"""Redis's errors as the library's, and what is to be done about each: none of them crosses the backend."""

from __future__ import annotations

import asyncio
import re
from enum import Enum

from redis import exceptions

from jdobb_async_queue.errors import BackendError, BackendUnavailable, JobQueueError


class Remedy(Enum):
    """What helps against an error."""

    LOAD = "load the script and send the call again"
    AGAIN = "wait a little and send the call again: it has not run"
    RECONNECT = "connect anew and send the call again: it has not run"
    RESEND = "connect anew and send the call again, marked as sent again: it may have run"
    NONE = "tell the caller"


_DRIVERS = (exceptions.RedisError, OSError, asyncio.TimeoutError)
_LOST = (
    exceptions.ConnectionError, exceptions.TimeoutError, exceptions.InvalidResponse, OSError,
    asyncio.TimeoutError,
)  # fmt: skip
_AGAIN = ("LOADING", "BUSY ", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "ERR max number of clients")
_RECONNECT = ("READONLY", "UNBLOCKED", "MOVED", "ASK")
_REFUSED = ("NOAUTH", "WRONGPASS", "NOPERM")
_REMEDIES = ((("NOSCRIPT",), Remedy.LOAD), (_AGAIN, Remedy.AGAIN), (_RECONNECT, Remedy.RECONNECT))
_SCRIPT = re.compile(r"(?:ERR )?Error running script \(call to \w+\): (?:@user_script: ?\d+: )+-?")
_UNAVAILABLE = ("OOM", "MISCONF", "NOREPLICAS", *_AGAIN, *_RECONNECT)


def remedy_for(error: BaseException) -> Remedy:
    """Return what helps against an error of a call."""
    text = _code(error)
    if not isinstance(error, _DRIVERS) or text.startswith(_REFUSED):
        return Remedy.NONE
    for codes, remedy in _REMEDIES:
        if text.startswith(codes):
            return remedy
    return Remedy.RESEND if isinstance(error, _LOST) else Remedy.NONE


def translated(error: BaseException, place: str) -> BaseException:
    """Return the library's error for one of Redis's; any other error is returned as it is."""
    if isinstance(error, JobQueueError):
        return error
    if not isinstance(error, _DRIVERS):
        return error
    found = _found(error, place)
    found.__cause__ = error
    return found


def is_denied(error: BaseException) -> bool:
    """Tell whether the user's rights or the server itself are in the way, and will be at the next try too."""
    return isinstance(error, exceptions.ResponseError) and remedy_for(error) is Remedy.NONE


def refused(text: str, place: str) -> JobQueueError:
    """Return the error of one operation that a script could not do."""
    if text.startswith(_UNAVAILABLE):
        return _unavailable(text, place)
    return BackendError(f"{place}: {text}")


def _found(error: BaseException, place: str) -> JobQueueError:
    text = _code(error)
    if text.startswith(_REFUSED):
        return BackendError(f"{place} refuses the credentials: {error}")
    if not isinstance(error, _LOST) and not text.startswith(_UNAVAILABLE):
        return BackendError(f"{place}: {text}")
    return _unavailable(text or type(error).__name__, place)


def _unavailable(text: str, place: str) -> BackendUnavailable:
    if text.startswith("OOM"):
        return BackendUnavailable(f"{place} has no memory left: raise its maxmemory or remove jobs ({text})")
    if text.startswith("MISCONF"):
        return BackendUnavailable(f"{place} cannot save to its disk and takes no writes ({text})")
    hint = "; a rediss URL needs a port that speaks TLS" if place.startswith("rediss:") else ""
    return BackendUnavailable(f"{place} does not answer: {text}{hint}")


def _code(error: BaseException) -> str:
    """Return an error's text as Redis wrote it; redis-py cuts the code off of those it has a class for.

    Redis 6.2 says in front which script it was.
    """
    text = _SCRIPT.sub("", str(error))
    for kind, code in _CUT.items():
        if isinstance(error, kind) and not text.startswith(code):
            return f"{code} {text}"
    return text


_CUT: dict[type[BaseException], str] = {
    exceptions.BusyLoadingError: "LOADING",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.NoScriptError: "NOSCRIPT",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.AuthenticationError: "NOAUTH",
}
if hasattr(exceptions, "OutOfMemoryError"):  # since redis-py 5.1
    _CUT[exceptions.OutOfMemoryError] = "OOM"
