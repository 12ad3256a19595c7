"""Fixtures of the command's tests: an empty folder, a store with a worker, and a service."""

from __future__ import annotations

import itertools
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import Jdobb
from tests.support.ports import free_port

HANDLERS = Path(__file__).with_name("handlers.py")


@pytest.fixture(scope="package", autouse=True)
def _ctrl_c_reaches_children() -> Iterator[None]:
    """Undo that shells make what they run in the background deaf to Ctrl-C, and all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def jdobb(tmp_path: Path) -> Jdobb:
    """Return the command in a folder where nothing is but the module ``jobs`` with handlers."""
    shutil.copy(HANDLERS, tmp_path / "jobs.py")
    return Jdobb(tmp_path)


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jdobb]:
    """Return the command in a folder whose store has a worker."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(HANDLERS, folder / "jobs.py")
    command = Jdobb(folder)
    with command.start("worker", "jobs:router") as worker:
        worker.wait_for("runs echo")
        yield command


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jdobb]:
    """Return the command that speaks to a service, whose jobs live in its memory."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(HANDLERS, folder / "jobs.py")
    command = Jdobb(folder)
    port = str(free_port())
    with command.start("serve", "jobs:router", "--backend-url", "memory://", "--port", port) as server:
        server.wait_for("runs echo")
        command.environment["JDOBB_URL"] = f"http://127.0.0.1:{port}"
        yield command


@pytest.fixture(params=["store", "service"])
def place(request: pytest.FixtureRequest) -> Jdobb:
    """Return the command at a store and at a service: both must answer alike."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def new_id(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return a maker of ids that no other test uses."""
    numbers = itertools.count()
    test = "".join(c if c.isalnum() else "-" for c in request.node.name)[:100]
    return lambda: f"{test}-{next(numbers)}"
