"""The compose file's commands, run without an engine: with its environment and the image's, and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.compose.compose import command_in_container, environment_in_container, service
from tests.support.ports import free_port
from tests.support.processes import ROOT, end, running, wait_until_ready
from tests.support.redis_server import RedisServer
from tests.support.waiting import WITHIN

BIN = Path(sys.executable).parent


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "data"
    folder.mkdir()
    server = RedisServer(folder, *service("redis")["command"]).start()
    yield server
    server.stop()


class Container:
    """What an engine would set up: the handlers' folder where the command runs, and its variables."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        shutil.copytree(ROOT / "examples", folder / "app/examples")
        self.folder, self.log = folder / "app", folder
        self.port = str(free_port())
        self._redis = redis

    def environment(self, name: str, **variables: str) -> dict[str, str]:
        """Return a service's variables, with this machine's addresses for those of the containers."""
        there = environment_in_container(name, **variables)
        store = there["JDOBB_BACKEND_URL"].replace("//redis:6379/", f"//127.0.0.1:{self._redis.port}/")
        here = {"JDOBB_BACKEND_URL": store, "JDOBB_HOST": "127.0.0.1", "JDOBB_PORT": self.port}
        return there | here | {"PATH": f"{BIN}{os.pathsep}{os.defpath}"}

    def run(self, name: str, **variables: str):
        program, *arguments = command_in_container(name, **variables)
        return running(
            [BIN / program, *arguments],
            log=self.log / f"{name}.log",
            folder=self.folder,
            environment=self.environment(name, **variables),
        )

    def is_healthy(self) -> bool:
        """Tell what the check of the service says."""
        kind, program, *arguments = service("app")["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        arguments = [word.replace(":8000/", f":{self.port}/") for word in arguments]
        return subprocess.run([BIN / program, *arguments], check=False, capture_output=True).returncode == 0


@pytest.fixture
def container(tmp_path: Path, redis: RedisServer) -> Container:
    return Container(tmp_path, redis)


@pytest.fixture
def client(container: Container) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{container.port}", timeout=2 * WITHIN) as client:
        yield client


def profile(client: httpx.Client, **headers: str) -> httpx.Response:
    body = {"job_type": "csv.profile", "data": {"path": "orders.csv"}}
    return client.post("/jobs", json=body, headers=headers)


def finished(client: httpx.Client, answer: httpx.Response) -> dict:
    assert answer.status_code == 201, answer.text
    return client.get(f"{answer.headers['location']}?wait=30").json()


def test_the_service_alone_answers_and_runs_the_examples(container: Container, client: httpx.Client):
    with container.run("app") as process:
        wait_until_ready(client, process, container.log / "app.log")
        assert container.is_healthy()
        backend = client.get("/readyz").json()["backend"]
        assert backend == {"name": "redis", "reachable": True, "durability": "normal"}
        assert finished(client, profile(client))["results"]["rows"] == 240
        assert profile(client, host="app:8000").status_code == 201
        assert profile(client, host="evil.example").status_code == 400
        assert end(process) == 0


def test_workers_of_their_own_run_the_jobs_of_a_service_without(container: Container, client: httpx.Client):
    with container.run("app", JDOBB_WORKERS="false") as process, container.run("worker") as worker:
        wait_until_ready(client, process, container.log / "app.log")
        assert not client.get("/readyz").json()["worker"]["enabled"]
        assert finished(client, profile(client))["status"] == "complete"
        assert (end(worker), end(process)) == (0, 0)


def test_the_check_fails_while_the_store_is_away(
    container: Container, client: httpx.Client, redis: RedisServer
):
    with container.run("app") as process:
        wait_until_ready(client, process, container.log / "app.log")
        redis.kill()
        assert not container.is_healthy()
        redis.start()
        wait_until_ready(client, process, container.log / "app.log")
        assert container.is_healthy()
