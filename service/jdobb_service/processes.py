"""Several processes that serve the same address, and the parent that keeps them running.

The parent has the socket, starts the processes, replaces those that die, and ends with them. It answers no
request and loads no handlers. The first process starts alone: it finds the store as it is, and what keeps it
from starting is said once; the others follow when it answers.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import structlog

from jdobb_async_queue import JobRouter
from jdobb_service.ending import FAILED, LAST_RESORT, OK, UNREACHABLE, USAGE, refuse
from jdobb_service.listening import CannotServe, check_exposure, listen
from jdobb_service.logs import configure_logging
from jdobb_service.orders import HURRY, READY, STOP, Orders
from jdobb_service.settings import Settings

LoadRouters = Callable[[], Sequence[JobRouter]]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TICK = 0.2
_CLEAN = frozenset({OK, -signal.SIGTERM})
"""Exit codes in good order; only a process that has not begun to serve dies of SIGTERM."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_AFTER = 60.0
_MARGIN = 0.5
"""Seconds after the last resort of a process at which the parent kills it."""

_spawning = multiprocessing.get_context("spawn")
log = structlog.get_logger("jdobb_service.processes")


def serve(settings: Settings, load_routers: LoadRouters) -> int:
    """Serve by as many processes as the settings say, until SIGTERM or SIGINT; return the exit code.

    It is 0, 1 failed to start or to end, 2 refused to, 5 the store cannot be reached. ``load_routers`` is
    called in each of them, and is pickled. From the signal on it takes ``shutdown_grace`` seconds and at
    most five more.
    """
    try:
        check_exposure(settings)
        _check_store(settings)
    except (CannotServe, ValueError) as error:
        return refuse(error, USAGE)
    try:
        listener = listen(settings)
    except CannotServe as error:
        return refuse(error, FAILED)
    configure_logging(settings)
    return Processes(_with_one_secret(settings), load_routers, listener).run()


def _check_store(settings: Settings) -> None:
    if settings.has_private_store:
        msg = (
            f"{settings.processes} processes cannot share {settings.backend_url}: each would have a queue of "
            "its own. Name a file or a Redis server (--backend-url, JDOBB_BACKEND_URL), or serve by one "
            "process (--workers 1, JDOBB_PROCESSES=1)."
        )
        raise CannotServe(msg)


def _with_one_secret(settings: Settings) -> Settings:
    """Return settings by which what one process signs is valid in all of them."""
    if settings.signing_secret is not None:
        return settings
    log.info("signing_secret is not set: what these processes sign is valid in them only")
    return settings.model_copy(update={"signing_secret": secrets.token_urlsafe(32)})


@dataclass
class _Place:
    """The place of one process, and of those that follow it there."""

    process: SpawnProcess | None = None
    line: Connection | None = None
    is_ready: bool = False
    began_at: float = 0.0
    due_at: float = 0.0
    """When the next one is started; as ``began_at`` by the monotonic clock."""
    failures: int = 0

    def bury(self) -> int | None:
        """Forget the process, and return its pid."""
        if self.line is not None:
            self.line.close()
        pid = None
        if self.process is not None:
            pid = self.process.pid
            self.process.close()
        self.process = self.line = None
        self.is_ready = False
        return pid

    def plan(self) -> float:
        """Plan the next one, after a pause that grows unless the last one lived long; return the pause."""
        now = time.monotonic()
        self.failures = 1 if now - self.began_at > _STEADY_AFTER else self.failures + 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self.failures - 1))
        self.due_at = now + pause
        return pause


class Processes:
    """The processes of one address."""

    def __init__(self, settings: Settings, load_routers: LoadRouters, listener: socket.socket) -> None:
        self._settings, self._load_routers, self._listener = settings, load_routers, listener
        self._places = [_Place() for _ in range(settings.processes)]
        self._received: list[int] = []
        self._has_served = False

    def run(self) -> int:
        """Keep them running until a signal comes or none can start; return the exit code."""
        code: int | None = None
        with self._noting_signals():
            try:
                while code is None and not self._received:
                    self._start_due()
                    self._wait()
                    code = self._look_after_the_dead()
            finally:
                ended = self._end()
        return ended if code is None else code

    # -- while they run --------------------------------------------------------------------------------

    def _start_due(self) -> None:
        places = self._places if self._has_served else self._places[:1]
        for place in places:
            if place.process is None and place.due_at <= time.monotonic():
                self._start(place)

    def _start(self, place: _Place) -> None:
        ours, theirs = _spawning.Pipe()
        process = _spawning.Process(
            target=_run,
            args=(self._settings, self._load_routers, self._listener, theirs),
            kwargs={"has_banner": not self._has_served},
        )
        place.began_at = time.monotonic()
        try:
            with _sheltered_from_the_terminal():
                process.start()
        except OSError as error:
            ours.close()
            log.error("process cannot be started", error=str(error), restart_in=place.plan())  # noqa: TRY400 - it is the machine's
            return
        finally:
            theirs.close()
        place.process, place.line, place.is_ready = process, ours, False
        log.info("process started", process=process.pid)

    def _wait(self) -> None:
        """Wait for news of a process, for a moment at most: signals, too, are looked at between."""
        lines = {place.line: place for place in self._places if place.line is not None}
        sentinels = [place.process.sentinel for place in self._places if place.process is not None]
        for source in wait([*lines, *sentinels], _TICK):
            if isinstance(source, Connection):
                self._hear(lines[source])

    def _hear(self, place: _Place) -> None:
        assert place.line is not None  # noqa: S101 - it has just been waited for
        try:
            place.is_ready = place.line.recv_bytes() == READY
        except (EOFError, OSError):
            place.line.close()
            place.line = None
        self._has_served = self._has_served or place.is_ready

    def _look_after_the_dead(self) -> int | None:
        """Plan anew what has ended; return the exit code when there is no use in it."""
        for place in self._places:
            if place.process is None or (code := place.process.exitcode) is None:
                continue
            while place.line is not None and place.line.poll():
                self._hear(place)
            hopeless = not place.is_ready and not any(each.is_ready for each in self._places)
            process = place.bury()
            if hopeless and code in {FAILED, USAGE, UNREACHABLE}:
                return code
            if hopeless and not self._has_served:
                log.error("process ended before it served", process=process, **_end_of(code))
                return FAILED
            pause = place.plan()
            log.error("process ended unexpectedly", process=process, **_end_of(code), restart_in=pause)
        return None

    # -- the end ---------------------------------------------------------------------------------------

    def _end(self) -> int:
        """Stop them all, and return the exit code: 0 if all ended well. A further signal hurries them."""
        self._listener.close()
        alive = [place.process for place in self._places if place.process is not None]
        self._tell(STOP)
        heeded = len(self._received)
        ends = time.monotonic() + self._settings.shutdown_grace + LAST_RESORT + _MARGIN
        while any(process.exitcode is None for process in alive) and time.monotonic() < ends:
            wait([process.sentinel for process in alive if process.exitcode is None], _TICK)
            if len(self._received) > heeded:
                heeded = len(self._received)
                self._tell(HURRY)
        for process in alive:
            if process.exitcode is None:
                log.error("process killed: it did not end in time", process=process.pid)
                process.kill()
                process.join()
        return OK if all(process.exitcode in _CLEAN for process in alive) else FAILED

    def _tell(self, order: bytes) -> None:
        for place in self._places:
            if place.line is not None:
                with suppress(OSError):
                    place.line.send_bytes(order)

    @contextmanager
    def _noting_signals(self) -> Iterator[None]:
        def note(number: int, _frame: object) -> None:
            self._received.append(number)

        before = {number: signal.signal(number, note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _run(
    settings: Settings,
    load_routers: LoadRouters,
    listener: socket.socket,
    line: Connection,
    *,
    has_banner: bool,
) -> None:
    """Be one of the processes, from its first moment on."""
    os.setsid()  # what a terminal sends to its processes comes by the parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also what came before
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    orders = Orders(line)
    configure_logging(settings)
    routers = load_routers()
    from jdobb_service import member  # noqa: PLC0415 - the parent needs none of what it imports

    sys.exit(member.serve(settings, routers, listener, orders, has_banner=has_banner))


@contextmanager
def _sheltered_from_the_terminal() -> Iterator[None]:
    """Keep SIGINT from a process that is started until it is ready to ignore it."""
    resource_tracker.ensure_running()  # its start, which is part of the first one's, unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_of(code: int) -> dict[str, int | str]:
    return {"signal": signal.Signals(-code).name} if code < 0 else {"exit_code": code}
