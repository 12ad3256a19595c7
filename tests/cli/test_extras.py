"""What works with which extras, and what to install for the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import PATIENCE, Done, Jdobb

SERVICE = ("fastapi", "jsonschema", "prometheus_client", "starlette", "structlog", "uvicorn")


def run_without(absent: tuple[str, ...], jdobb: Jdobb, *arguments: str) -> Done:
    """Run the command as a process in which some packages are not installed."""
    missing = f"import sys; sys.modules.update(dict.fromkeys({absent!r}))"
    program = f"{missing}; from jdobb_service.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        cwd=jdobb.folder,
        env=jdobb.clean_environment({}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_without_the_service_extra_everything_but_the_service_works(jdobb: Jdobb):
    assert run_without(SERVICE, jdobb, "enqueue", "echo", "--id", "one").out == "one\n"
    worker = run_without(SERVICE, jdobb, "worker", "jobs:router", "--burst")
    assert worker.code == 0
    assert "INFO jdobb_async_queue: worker" in worker.err
    assert jdobb("get", "one", "--json").json["status"] == "complete"


@pytest.mark.parametrize(
    ("absent", "arguments", "extra"),
    [
        (SERVICE, ["serve"], "service"),
        (SERVICE, ["openapi"], "service"),
        (("structlog",), ["worker", "jobs:router", "--burst", "--log-format", "json"], "service"),
        (("aiosqlite",), ["get", "x"], "sqlite"),
        (("httpx",), ["get", "x", "--url", "http://127.0.0.1:1"], "cli"),
        (("pydantic_settings",), ["get", "x"], "cli"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(
    jdobb: Jdobb, absent: tuple[str, ...], arguments: list[str], extra: str
):
    done = run_without(absent, jdobb, *arguments)
    assert (done.code, done.out) == (2, "")
    assert f"jdobb-async-queue[{extra}]" in done.err
    assert done.err.count("\n") == 1
