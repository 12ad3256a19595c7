"""The service as a process: its start, its end in time, its worker, and life inside another application."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from jdobb_async_queue import JobContext, JobQueue, JobRouter
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from jdobb_service import state
from jdobb_service.app import create_app, running
from jdobb_service.cli.exits import ExitCode
from jdobb_service.ending import LAST_RESORT
from jdobb_service.listening import listen
from jdobb_service.server import Server
from jdobb_service.settings import Settings
from tests.support.logs import has_traceback
from tests.support.ports import free_port
from tests.support.processes import UNHURRIED
from tests.support.redis_server import RedisServer
from tests.support.serving import Running, code_of, serving
from tests.support.streams import events, read_all
from tests.support.waiting import WITHIN, eventually, until

HANDLERS = """
import asyncio, time
from jdobb_async_queue import JobRouter
router = JobRouter()

@router.handler("quick")
async def quick(ctx):
    return {"done": True}

@router.handler("slow")
async def slow(ctx):
    await asyncio.sleep(60)

@router.handler("stuck")
async def stuck(ctx):
    await asyncio.to_thread(time.sleep, 60)
"""


@dataclass(frozen=True)
class Process:
    """A running ``jdobb serve`` and where it is."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WITHIN)


@contextmanager
def _command(
    folder: Path, *arguments: str, program: Sequence[str] = UNHURRIED
) -> Iterator[subprocess.Popen[str]]:
    """Run ``jdobb serve`` in a folder; what it logs goes to ``log`` there."""
    folder.joinpath("handlers.py").write_text(HANDLERS)
    command = [*program, "serve", "handlers:router", "--port", "0", *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JDOBB_")}
    with (
        folder.joinpath("log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=kept, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def started(folder: Path, *arguments: str, program: Sequence[str] = UNHURRIED) -> Iterator[Process]:
    """Run the service until the block is left, from the moment on at which it says where it is."""
    with _command(folder, *arguments, program=program) as process:
        assert process.stdout is not None
        where = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert where is not None, folder.joinpath("log").read_text()
        yield Process(process, where[0], folder / "log")


def _start(client: httpx.Client, job_type: str) -> str:
    """Return the id of a job that is running."""
    job = client.post("/jobs", json={"job_type": job_type})
    where = job.headers["location"]
    while job.status_code == 304 or job.json()["status"] == "pending":
        job = client.get(where, params={"wait": 2}, headers={"if-none-match": job.headers["etag"]})
    return job.json()["id"]


async def _waiting(client: httpx.AsyncClient, requests: int) -> bool:
    """Tell whether so many requests wait: not before that have they come in at the service."""
    return f"jdobb_waiting_requests {requests}.0\n" in (await client.get("/metrics")).text


async def test_an_open_stream_and_a_waiting_look_end_cleanly_at_a_signal(tmp_path: Path):
    with started(tmp_path, "--shutdown-grace", "1") as service:
        async with httpx.AsyncClient(base_url=service.url, timeout=WITHIN) as client:
            job_id = (await client.post("/jobs", json={"job_type": "nobody"})).json()["id"]
            look = asyncio.create_task(client.get(f"/jobs/{job_id}?wait=20"))
            await eventually(lambda: _waiting(client, 1))
            async with client.stream("GET", f"/jobs/{job_id}/events") as answer:
                stream = events(answer)
                await anext(stream)
                await anext(stream)
                service.process.send_signal(signal.SIGTERM)
                rest = [event async for event in stream]
            assert [(event.name, event.id, event.data) for event in rest] == [
                ("server.shutdown", None, {"reason": "shutdown"})
            ]
            assert (await look).json()["status"] == "pending"
        assert await asyncio.to_thread(service.process.wait, WITHIN) == 0
    assert not has_traceback(service.log.read_text())


def test_a_running_job_is_released_when_its_grace_is_over(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with started(tmp_path, "--shutdown-grace", "0.5", "--backend-url", url) as service:
        with httpx.Client(base_url=service.url, timeout=WITHIN) as client:
            job_id = _start(client, "slow")
        assert service.stop() == 0
    with started(tmp_path, "--no-workers", "--backend-url", url) as service:
        job = httpx.get(f"{service.url}/jobs/{job_id}", timeout=WITHIN).json()
        assert (job["status"], job["failures"], job["losses"]) == ("pending", 0, 0)


def test_a_second_signal_gives_running_jobs_back_at_once(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with started(tmp_path, "--shutdown-grace", "600", "--backend-url", url) as service:
        with httpx.Client(base_url=service.url, timeout=WITHIN) as client:
            job_id = _start(client, "slow")
        service.process.send_signal(signal.SIGTERM)
        until(lambda: _refuses(service.url))
        assert service.stop() == 0
    with started(tmp_path, "--no-workers", "--backend-url", url) as service:
        job = httpx.get(f"{service.url}/jobs/{job_id}", timeout=WITHIN).json()
        assert (job["status"], job["failures"], job["losses"]) == ("pending", 0, 0)


def _refuses(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0


def test_not_even_a_blocked_thread_holds_the_end_up(tmp_path: Path):
    place = ("--shutdown-grace", "0.2", "--backend-url", "memory://")
    with started(tmp_path, *place, program=[sys.executable, "-m", "jdobb_service.cli"]) as service:
        with httpx.Client(base_url=service.url, timeout=WITHIN) as client:
            _start(client, "stuck")
        assert service.stop() == 1
    assert _says(tmp_path, "ended by force")
    assert LAST_RESORT < 5


def test_a_reader_that_takes_nothing_does_not_hold_the_end_up(tmp_path: Path):
    with started(tmp_path, "--shutdown-grace", "0.2", "--backend-url", "memory://") as service:
        made = httpx.post(f"{service.url}/jobs", json={"job_type": "nobody"}, timeout=WITHIN).json()["id"]
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", int(service.url.rpartition(":")[2])))
            reader.sendall(f"GET /jobs/{made}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert reader.recv(10)
            assert service.stop(signal.SIGINT) == 0


_HALF_SENT = (
    b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n{"
)


async def test_a_stream_a_wait_a_stalled_reader_and_half_a_body_end_within_the_grace(tmp_path: Path):
    with started(tmp_path, "--shutdown-grace", "1", "--backend-url", "memory://") as service:
        async with httpx.AsyncClient(base_url=service.url, timeout=WITHIN) as client:
            job_id = (await client.post("/jobs", json={"job_type": "nobody"})).json()["id"]
            waits = [
                asyncio.create_task(client.get(f"/jobs/{job_id}?wait=20")),
                asyncio.create_task(
                    client.post("/jobs", json={"job_type": "nobody"}, headers={"prefer": "wait=20"})
                ),
            ]
            await eventually(lambda: _waiting(client, 2))
            port = int(service.url.rpartition(":")[2])
            told, sender = await asyncio.open_connection("127.0.0.1", port)
            sender.write(_HALF_SENT)
            assert (await told.readline()).startswith(b"HTTP/1.1 100")  # it reads the body now
            stalled, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert await stalled.readexactly(1)
            async with client.stream("GET", f"/jobs/{job_id}/events") as answer:
                stream = events(answer)
                await anext(stream)
                await anext(stream)
                ended = asyncio.create_task(asyncio.to_thread(service.stop))
                assert [event.name async for event in stream] == ["server.shutdown"]
            assert [(await wait).json()["status"] for wait in waits] == ["pending", "pending"]
            assert await ended == 0
            writer.close()
            sender.close()
    assert '"level":"error"' not in service.log.read_text()


def _says(folder: Path, text: str) -> bool:
    return text in folder.joinpath("log").read_text()


def test_a_store_that_is_away_at_the_start_is_waited_for(tmp_path: Path):
    server = RedisServer(tmp_path)
    with _command(tmp_path, "--backend-url", server.url) as process:
        until(lambda: _says(tmp_path, "backend unavailable"))
        server.start()
        assert process.stdout is not None
        where = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert where is not None
        assert httpx.get(f"{where[0]}/readyz", timeout=WITHIN).json()["backend"]["reachable"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN) == 0
    server.stop()


def test_a_signal_ends_the_wait_for_a_store_that_is_away(tmp_path: Path):
    with _command(tmp_path, "--backend-url", f"redis://127.0.0.1:{free_port()}/0") as process:
        until(lambda: _says(tmp_path, "backend unavailable"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN) == 0
    assert not has_traceback(tmp_path.joinpath("log").read_text())
    assert not _says(tmp_path, "ended by force")


async def test_the_wait_for_a_store_that_stays_away_has_an_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(state, "_PATIENCE", 0.3)
    settings = Settings(backend_url=f"redis://:s3cr3t@127.0.0.1:{free_port()}/0", port=0)
    listener = listen(settings)
    server = Server(create_app(settings), settings, listener)
    await server.serve(sockets=[listener])
    listener.close()
    assert (server.exit_code, server.started) == (ExitCode.UNREACHABLE, False)
    said = capsys.readouterr()
    assert said.err.startswith("jdobb: ")
    assert "s3cr3t" not in said.err + said.out


def test_the_start_says_where_it_is_and_what_to_try(tmp_path: Path):
    with started(tmp_path) as service:
        assert service.process.stdout is not None
        said = "".join(service.process.stdout.readline() for _ in range(4))
        assert f"jobs are in {tmp_path / 'jdobb.db'}\n" in said
        assert f"curl {service.url}/jobs -H 'Content-Type: application/json' -d " in said
        httpx.get(f"{service.url}/readyz", timeout=WITHIN)
        httpx.get(f"{service.url}/jobs", params={"sig": "t0ps3cret"}, timeout=WITHIN)
        service.stop()
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    asked = [line for line in lines if line["event"] == "request"]
    assert [(line["path"], line["status"]) for line in asked] == [("/jobs", 422)]
    assert "t0ps3cret" not in service.log.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--host", "0.0.0.0"), 2, "without API keys"),  # noqa: S104 - it is refused
        (("--host", "no.such.host.invalid"), 2, "cannot find the address"),
        (("--backend-url", "mysql://x"), 2, "Unknown backend: mysql"),
        (("--backend-url", "sqlite:////no/such/folder/jobs.db"), 5, "jdobb: "),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
):
    with _command(tmp_path, *arguments) as process:
        process.communicate(timeout=WITHIN)
    log = tmp_path.joinpath("log").read_text()
    assert (process.returncode, len(log.splitlines())) == (code, 1), log
    assert said in log


def test_a_taken_port_is_said_in_one_line(tmp_path: Path):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        _command(tmp_path, "--port", str(taken.getsockname()[1])) as process,
    ):
        process.communicate(timeout=WITHIN)
    assert process.returncode == 1
    assert "cannot listen on 127.0.0.1 port" in tmp_path.joinpath("log").read_text()


async def test_health_says_what_stands_behind_it(service: Running):
    assert (await service.client.get("/livez")).json() == {"status": "alive"}
    ready = (await service.client.get("/readyz")).json()
    name = service.queue.backend.name
    assert ready["status"] == "ready"
    assert (ready["backend"]["name"], ready["backend"]["reachable"]) == (name, True)
    assert ready["backend"]["durability"] == service.queue.backend.durability
    assert ready["worker"] == {"enabled": False, "running": False, "restarts": 0, "failing": []}


async def test_readiness_says_what_the_jobs_of_any_backend_survive(tmp_path: Path):
    backend = SQLiteBackend(f"sqlite:///{tmp_path / 'jobs.db'}", durability="normal")
    async with JobQueue(backend) as queue, serving(app=create_app(Settings(), queue=queue)) as service:
        ready = (await service.client.get("/readyz")).json()
    assert ready["backend"]["durability"] == "normal"


async def test_a_closing_service_is_not_ready_but_lives(on_memory: Running):
    on_memory.state.closing.set()
    answer = await on_memory.client.get("/readyz")
    assert (answer.status_code, code_of(answer)) == (503, "draining")
    assert answer.headers["retry-after"] == "1"
    assert (await on_memory.client.get("/livez")).status_code == 200


async def test_a_crashed_worker_turns_readiness_red_and_is_started_again():
    mended = False

    @asynccontextmanager
    async def lifespan():
        if not mended:
            raise RuntimeError("the loop broke")
        yield None

    router = JobRouter(lifespan=lifespan)

    @router.handler("quick")
    async def quick(ctx: JobContext) -> dict:
        return {"n": ctx.data["n"]}

    async with serving([router]) as service:
        answer = await service.client.get("/readyz")
        assert (answer.status_code, code_of(answer)) == (503, "worker-down")
        worker = answer.json()["worker"]
        before = worker.pop("restarts")
        assert worker == {"enabled": True, "running": False, "failing": []}
        assert (await service.client.get("/livez")).status_code == 200
        mended = True
        posted = await service.post({"job_type": "quick", "data": {"n": 1}}, prefer="wait=20")
        assert posted.json()["results"] == {"n": 1}
        worker = (await service.client.get("/readyz")).json()["worker"]
        assert worker.pop("restarts") > before
        assert worker == {"enabled": True, "running": True, "failing": []}


async def test_two_handlers_for_a_job_type_are_refused_at_once():
    routers = [JobRouter(), JobRouter()]
    for router in routers:

        @router.handler("same")
        async def same(ctx: JobContext) -> None:
            del ctx

    with pytest.raises(ValueError, match="same"):
        create_app(Settings(backend_url="memory://"), routers)


async def test_the_service_lives_inside_another_application(backend_url: str):
    router = JobRouter()

    @router.handler("quick")
    async def quick(ctx: JobContext) -> dict:
        return {"n": ctx.data["n"] + 1}

    inner = create_app(Settings(backend_url=backend_url, shutdown_grace=1), [router])

    @asynccontextmanager
    async def lifespan(_app: FastAPI):
        async with running(inner):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/queue", inner)

    @outer.get("/own")
    async def own() -> dict:
        return {"own": True}

    outer.state.service = inner.state.service  # what the test's server looks at
    async with serving(app=outer) as service:
        assert (await service.client.get("/own")).json() == {"own": True}
        made = await service.client.post(
            "/queue/jobs", json={"job_type": "quick", "data": {"n": 1}}, headers={"prefer": "wait=20"}
        )
        where = made.headers["location"]
        assert (where, made.json()["results"]) == (f"/queue/jobs/{made.json()['id']}", {"n": 2})
        assert (await service.client.get(where)).json()["status"] == "complete"
        assert (await read_all(service.client, f"{where}/events"))[-1].name == "end"
        await service.client.post("/queue/jobs", json={"job_type": "other"})
        page = await service.client.get("/queue/jobs?limit=1")
        assert page.links["next"]["url"].startswith("/queue/jobs?limit=1&cursor=")
        assert code_of(await service.client.get("/queue/nothing")) == "not-found"
        assert (await service.client.get("/queue/readyz")).json()["status"] == "ready"
        assert (await service.client.get("/queue/docs")).status_code == 200


async def test_an_application_that_was_not_started_says_so():
    inner = create_app(Settings(backend_url="memory://"))
    outer = FastAPI()
    outer.mount("/queue", inner)
    outer.state.service = inner.state.service
    async with serving(app=outer) as service:
        answer = await service.client.get("/queue/readyz")
        assert (answer.status_code, code_of(answer)) == (503, "starting")
        assert (await service.client.post("/queue/jobs", json={"job_type": "a"})).status_code == 201


async def test_ending_the_server_ends_streams(on_memory: Running):
    job_id = await on_memory.new_job()
    async with on_memory.client.stream("GET", f"/jobs/{job_id}/events") as answer:
        stream = events(answer)
        await anext(stream)
        await anext(stream)
        on_memory.server.should_exit = True
        assert [event.name async for event in stream] == ["server.shutdown"]
    await eventually(lambda: on_memory.state.streams.taken == 0)
