"""Names the handler that blocks the event loop, while it does."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING

from jdobb_async_queue.instrumentation import facts

if TYPE_CHECKING:
    from types import FrameType

    from jdobb_async_queue.worker.shift import Shift

_BEAT, _BLOCKED_AFTER = 0.25, 1.0


class Watchdog:
    """A thread that the event loop answers four times a second, and that speaks up when it does not.

    It measures the machine, not the queue, so it reads the real monotonic clock.
    """

    def __init__(self, shift: Shift, loop: asyncio.AbstractEventLoop) -> None:
        self._shift, self._loop = shift, loop
        self._loop_thread = threading.get_ident()
        self._ended = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="jdobb-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it notices within a beat."""
        self._ended.set()
        self._answered.set()

    def _watch(self) -> None:
        while not self._ended.wait(_BEAT):
            self._answered.clear()
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:
                return
            if not self._answered.wait(_BLOCKED_AFTER):
                self._speak(asked)

    def _speak(self, asked: float) -> None:
        execution = self._shift.slots.of_task(asyncio.current_task(self._loop))
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way to see another thread
        record = None if execution is None else execution.record
        fact = facts.LoopBlocked(
            time.monotonic() - asked,
            None if record is None else record.job_type,
            None if record is None else record.id,
            _where(frame),
        )
        self._shift.tell(fact)
        self._answered.wait()


def _where(frame: FrameType | None) -> str:
    return "an unknown place" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
