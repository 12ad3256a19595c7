"""``jdobb worker``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from jdobb_service.cli.exits import ExitCode, Refusal
from jdobb_service.cli.hints import tell_of_mistyped_variables
from jdobb_service.cli.options import (
    BackendUrl,
    LogFormat,
    LogLevel,
    MaxConcurrent,
    Namespace,
    ShutdownGrace,
    Targets,
)
from jdobb_service.cli.target import load_routers

if TYPE_CHECKING:
    from jdobb_async_queue import JobQueue, JobRouter, Worker, facts
    from jdobb_service.settings import Settings

log = logging.getLogger("jdobb_service.cli")

_PATIENT = 2
"""Signals that are obeyed in order; the next one is not discussed."""


async def worker(
    targets: Targets,
    *,
    burst: Annotated[
        bool,
        typer.Option("--burst", help="End when no job is ready or running, instead of waiting for more."),
    ] = False,
    job_type: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="TYPE", help="Run only jobs of this type; may be given several times."
        ),
    ] = None,
    max_concurrent: MaxConcurrent = None,
    shutdown_grace: ShutdownGrace = None,
    backend_url: BackendUrl = None,
    namespace: Namespace = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> int | None:
    """Run the handlers of a module on the jobs in the store.

    SIGTERM or Ctrl-C lets running jobs finish; a second one gives them back and ends at once.

    jdobb worker myapp.jobs:router
    jdobb worker myapp.jobs --backend-url sqlite:////var/lib/jobs.db --max-concurrent 4
    jdobb worker myapp.jobs:router --burst
    """
    from jdobb_service.cli.clients.backend import open_queue, shared_settings, shown_url

    tell_of_mistyped_variables()
    settings = shared_settings(
        backend_url=backend_url,
        namespace=namespace,
        max_concurrent=max_concurrent,
        shutdown_grace=shutdown_grace,
        log_level=log_level,
        log_format=log_format,
    )
    listeners = _configure_logging(settings)
    routers = load_routers(targets)
    queue = open_queue(settings)
    try:
        made = _make_worker(queue, settings, routers, job_type)
        for listener in listeners:
            made.add_listener(listener)
        log.info("jobs are in %s; SIGTERM or Ctrl-C stops", shown_url(settings.backend_url))
        return await _run(made, burst=burst)
    finally:
        await queue.close()


def _make_worker(
    queue: JobQueue, settings: Settings, routers: list[JobRouter], job_types: list[str] | None
) -> Worker:
    from jdobb_async_queue import Worker

    try:
        made = Worker(
            queue,
            job_types=job_types or None,
            max_concurrent=settings.max_concurrent,
            shutdown_grace=settings.shutdown_grace,
        )
        for router in routers:
            made.include_router(router)
    except (TypeError, ValueError) as error:
        raise Refusal(ExitCode.USAGE, str(error)) from error
    return made


async def _run(made: Worker, *, burst: bool) -> int:
    """Run the worker until it ends or is told to; return the exit code."""
    running = asyncio.ensure_future(made.run(burst=burst))
    stops: list[asyncio.Task[None]] = []

    def stop() -> None:
        if stops:
            log.info("ending at once; running jobs are given back")
            running.cancel()
        else:
            log.info("stopping; running jobs may finish (the same signal again ends at once)")
            stops.append(asyncio.ensure_future(made.stop()))

    with _signals(stop) as received:
        await asyncio.wait([running])
    if running.cancelled():
        return 128 + received[-1]
    if (error := running.exception()) is not None:
        message = f"the worker ended by an error: {type(error).__name__}: {error}"
        raise Refusal(ExitCode.FAILED, message) from error
    return ExitCode.OK


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call ``stop`` on the loop for each signal; the third one ends the process, whatever holds the loop."""
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > _PATIENT:
            os._exit(128 + number)
        loop.call_soon_threadsafe(stop)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _configure_logging(settings: Settings) -> list[Callable[[facts.Fact], None]]:
    """Log as the service does; without its extra, plain lines. Return who listens to the worker."""
    try:
        from jdobb_service.logs import bind_job, configure_logging
    except ModuleNotFoundError:
        if settings.log_format == "json":
            raise
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        return []
    configure_logging(settings)
    return [bind_job]
