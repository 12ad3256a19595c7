"""A service that can be stopped and started again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.support.ports import free_port
from tests.support.processes import jdobb, wait_until_ready
from tests.support.waiting import WITHIN


class Service:
    """A process of the service on an SQLite file; it can be stopped and started on the same port.

    ``arguments`` are those of ``jdobb serve``, ``settings`` its environment.
    """

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.backend_url = f"sqlite:///{folder / 'jobs.db'}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "service.log"
        self._arguments = ("serve", *arguments, "--port", str(self.port))
        self._settings = {"JDOBB_BACKEND_URL": self.backend_url, **settings}
        self._stack = ExitStack()

    def start(self) -> None:
        process = self._stack.enter_context(jdobb(*self._arguments, log=self._log, **self._settings))
        with httpx.Client(base_url=self.url, timeout=WITHIN) as client:
            wait_until_ready(client, process, self._log)

    def stop(self) -> None:
        self._stack.close()
