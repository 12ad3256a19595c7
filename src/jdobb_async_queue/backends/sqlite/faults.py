"""SQLite's errors as the library's: none of them crosses the backend."""

from __future__ import annotations

import sqlite3

from jdobb_async_queue.errors import BackendError, BackendUnavailable, JobQueueError

_BUSY = ("locked", "busy", "locking protocol")
_UNAVAILABLE = ("full", "disk i/o", "unable to open", "readonly", "read-only")


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether somebody else holds a lock, so that trying again will help."""
    text = str(error).lower()
    return isinstance(error, sqlite3.OperationalError) and any(word in text for word in _BUSY)


def translated(error: BaseException, place: str) -> BaseException:
    """Return the library's error for one of SQLite's; any other error is returned as it is."""
    if not isinstance(error, sqlite3.Error):
        return error
    text = str(error)
    lower = text.lower()
    found: JobQueueError
    if is_busy(error):
        found = BackendUnavailable(f"{place} is locked by another process ({text})")
    elif any(word in lower for word in _UNAVAILABLE):
        found = BackendUnavailable(f"{place}: {text}")
    elif "malformed" in lower:
        found = BackendError(f"{place} is damaged: {text}; restore it from a backup")
    elif "not a database" in lower:
        found = BackendError(f"{place} is not an SQLite database")
    else:
        found = BackendError(f"{place}: {text}")
    found.__cause__ = error
    return found
