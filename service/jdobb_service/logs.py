"""Logging: structured events of the service, and the library's and server's own lines in the same form."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor

from jdobb_async_queue import facts
from jdobb_service.masking import masked
from jdobb_service.settings import Settings

_QUIET = {"uvicorn.error": logging.WARNING, "asyncio": logging.WARNING}


def configure_logging(settings: Settings) -> None:
    """Send everything that is logged to standard error, as the settings say."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _Stamp(),
        *([_add_pid] if settings.processes > 1 else []),
    ]
    rendering = _console() if console else _json()
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))


def bind_job(fact: facts.Fact) -> None:
    """Give every line that a handler logs the names of its attempt; a listener of a worker.

    A started handler is told of in its own task, so the names end with it.
    """
    if not isinstance(fact, facts.JobStarted):
        return
    names = {"job_id": fact.job_id, "job_type": fact.job_type, "attempt": fact.attempt}
    given = {"request_id": fact.request_id, "traceparent": fact.traceparent}
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        **names, **{name: value for name, value in given.items() if value is not None}
    )


class _Stamp:
    """Says of each line when it was written; a second is put into words once."""

    def __init__(self) -> None:
        self._known = (-1, "")

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        known, words = self._known
        if second != known:
            words = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
            self._known = (second, words)
        event["at"] = f"{words}.{nanoseconds // 1000:06d}Z"
        return event


def _add_pid(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Say which of the processes that log to one place it is."""
    event["pid"] = os.getpid()
    return event


def _masked(_logger: Any, _method: str, line: Any) -> str:
    """Take secrets out of a line, whatever they came in: the message of an error may quote an address."""
    return masked(line)


# Tracebacks go without the values of local variables: those are payloads and secrets.
def _json() -> Sequence[Processor]:
    without_values = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(without_values),
        _json_line,
    ]


def _console() -> Sequence[Processor]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
        _masked,
    ]


def _json_line(_logger: Any, _method: str, event: EventDict) -> str:
    return masked(to_json(event, fallback=repr, inf_nan_mode="strings").decode())
