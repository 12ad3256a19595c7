"""What the service says when it has started: its first job works as it is printed."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from examples.handlers import router as examples
from jdobb_async_queue import JobRouter
from jdobb_service.banner import banner, shown_backend
from jdobb_service.settings import Settings
from tests.cli.command import COMMAND
from tests.support.serving import serving
from tests.support.waiting import WITHIN, eventually

URL = "http://127.0.0.1:8000"
KEY = f"me:{'0' * 64}:enqueue"


class Address(BaseModel):
    to: str


class Greeting(Address):
    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "ada"}]})


class Report(BaseModel):
    pages: int = 1


def routers(**models: type[BaseModel] | None) -> list[JobRouter]:
    router = JobRouter()
    for job_type, model in models.items():

        async def handler(ctx):
            return None

        router.register_handler(job_type, handler, data_model=model)
    return [router]


def line_to_try(text: str) -> list[str]:
    return shlex.split(text.splitlines()[-1])


def command_to_try(text: str) -> list[str]:
    return shlex.split(text.splitlines()[-2])


def job_to_try(text: str) -> dict:
    return json.loads(line_to_try(text)[-1])


async def test_the_call_works_as_printed_with_the_examples():
    async with serving([examples]) as service:
        line = line_to_try(banner(Settings(backend_url="memory://"), service.url, [examples]))
        made = json.loads(await asyncio.to_thread(subprocess.check_output, line, timeout=WITHIN))
        assert made["job_type"] == "demo.steps"

        async def is_moving() -> bool:
            job = await service.queue.get(made["id"])
            return job is not None and 0 < job.progress < 1

        await eventually(is_moving)
        assert await service.queue.cancel(made["id"])


async def test_the_command_works_as_printed_and_shows_the_end():
    async with serving(routers(quick=None)) as service:
        line = command_to_try(banner(Settings(backend_url="memory://"), service.url, routers(quick=None)))
        done = await asyncio.to_thread(
            subprocess.run, [*COMMAND, *line[1:]], check=True, capture_output=True, timeout=WITHIN
        )
        assert json.loads(done.stdout.splitlines()[-1])["status"] == "complete"


@pytest.mark.parametrize(
    ("called", "path", "shown"),
    [
        ("bin/jdobb", "", "bin/jdobb"),
        ("/opt/elsewhere/jdobb", "", "/opt/elsewhere/jdobb"),
        ("/opt/elsewhere/uvicorn", "", "jdobb"),
        ("bin/jdobb", "bin", "jdobb"),
    ],
)
def test_the_command_is_named_as_a_shell_in_this_directory_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: str, path: str, shown: str
):
    tmp_path.joinpath("bin").mkdir()
    tmp_path.joinpath("bin/jdobb").touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr("sys.argv", [called, "serve"])
    assert command_to_try(banner(Settings(), URL, routers(quick=None)))[0] == shown


@pytest.mark.parametrize(
    ("models", "job"),
    [
        ({"quick": None}, {"job_type": "quick", "data": {"text": "hello"}}),
        ({"report": Report}, {"job_type": "report", "data": {}}),
        ({"greet": Greeting}, {"job_type": "greet", "data": {"to": "ada"}}),
        ({"mail": Address, "report": Report}, {"job_type": "report", "data": {}}),
    ],
)
def test_the_job_fits_the_model_of_its_handler(models, job):
    assert job_to_try(banner(Settings(), URL, routers(**models))) == job


def test_where_no_data_is_known_to_fit_it_leads_to_the_documentation():
    said = banner(Settings(), URL, routers(mail=Address, letter=Address))
    assert said.endswith(f"it takes jobs of the type mail or letter; {URL}/docs tells how")


def test_without_handlers_it_says_how_to_name_some():
    said = banner(Settings(), URL)
    assert said.endswith("name a module that has some, as in `jdobb serve myapp.jobs:router`")


def test_without_workers_it_says_who_runs_the_jobs():
    said = banner(Settings(workers=False), URL, routers(quick=None))
    assert "it runs no jobs: `jdobb worker` with the same modules does" in said


def test_where_keys_are_asked_for_the_line_has_a_place_for_one():
    line = line_to_try(banner(Settings(api_keys=KEY), URL, routers(quick=None)))
    assert "Authorization: Bearer $JDOBB_API_KEY" in line


def test_what_is_shown_of_a_backend_holds_no_password(tmp_path: Path):
    assert shown_backend("redis://user:hunter2@host:6379/0") == "redis://***@host:6379/0"
    assert (
        shown_backend("redis://host?username=me&password=hunter2") == "redis://host?username=***&password=***"
    )
    assert shown_backend("sqlite:////var/lib/jobs.db") == "/var/lib/jobs.db"
    assert shown_backend("sqlite:///jobs.db") == str(tmp_path / "jobs.db")
    assert shown_backend("sqlite:///:memory:") == "sqlite:///:memory:"
