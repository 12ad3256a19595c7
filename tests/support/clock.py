"""Time that stands still until a test moves it."""

from __future__ import annotations

from datetime import datetime, timezone

NEW_YEAR = datetime(2030, 1, 1, tzinfo=timezone.utc)


class ManualClock:
    """A clock for backends; both its readings move by ``advance`` alone."""

    def __init__(self, start: datetime = NEW_YEAR) -> None:
        self._millis = int(start.timestamp() * 1000)

    def now(self) -> int:
        """Return milliseconds since the Unix epoch."""
        return self._millis

    def monotonic(self) -> float:
        """Return seconds."""
        return self._millis / 1000

    @property
    def time(self) -> datetime:
        """Return the present as the library's users see it."""
        return datetime.fromtimestamp(self._millis / 1000, tz=timezone.utc)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._millis += round(seconds * 1000)
