"""How the command ends: exit codes, and the one table from errors to codes and messages."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller. Signals add 128 and their number, as in shells."""

    OK = 0
    FAILED = 1
    """The job failed or was cancelled, or the answer is no."""
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    UNAUTHORIZED = 6
    TIMED_OUT = 7
    DEFECT = 70
    """The command itself is wrong: worth a bug report."""
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class Refusal(Exception):  # noqa: N818 - an answer to the user, not a fault
    """Ends the command with a code and a message for people; later lines of the message are hints."""

    def __init__(self, code: ExitCode, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.in_doubt = in_doubt
        """Whether what was asked for may have been done nevertheless."""


def refusal_of(error: BaseException) -> Refusal:
    """Return how an error ends the command; one that nobody expected is a defect."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        return Refusal(ExitCode.USAGE, _missing(error))
    if isinstance(error, TimeoutError):
        return Refusal(ExitCode.TIMED_OUT, str(error))
    for kind, code in _table():
        if isinstance(error, kind):
            return Refusal(code, str(error), in_doubt=code is ExitCode.UNREACHABLE)
    return Refusal(
        ExitCode.DEFECT,
        f"this is a defect of jdobb: {type(error).__name__}: {error}\n--debug shows where",
    )


def _table() -> tuple[tuple[type[BaseException], ExitCode], ...]:
    from jdobb_async_queue import (
        BackendError,
        InvalidCursor,
        JobConflict,
        JobNotFound,
        PayloadTooLarge,
        QueueFull,
    )
    from jdobb_service.settings import InvalidSettings

    return (
        (InvalidSettings, ExitCode.USAGE),
        (InvalidCursor, ExitCode.USAGE),
        (PayloadTooLarge, ExitCode.USAGE),
        (NotImplementedError, ExitCode.USAGE),
        (JobNotFound, ExitCode.NOT_FOUND),
        (JobConflict, ExitCode.CONFLICT),
        (QueueFull, ExitCode.CONFLICT),
        (BackendError, ExitCode.UNREACHABLE),
    )


_EXTRAS = {
    "aiosqlite": "sqlite",
    "redis": "redis",
    **dict.fromkeys(("httpx", "httpx_sse", "pydantic_settings", "rich", "watchfiles"), "cli"),
    **dict.fromkeys(
        ("fastapi", "jsonschema", "prometheus_client", "starlette", "structlog", "uvicorn"),
        "service",
    ),
}


def _missing(error: ModuleNotFoundError) -> str:
    """Return one line that names the extra to install."""
    said = str(error)
    extra = _EXTRAS[str(error.name)]
    return said if "pip install" in said else f"{said}: pip install 'jdobb-async-queue[{extra}]'"
