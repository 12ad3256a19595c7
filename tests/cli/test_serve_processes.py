"""``jdobb serve --workers N``: processes that serve one address, what becomes of them, and how they end."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse

from jdobb_service.keys import new_key
from tests.cli.command import Jdobb, Running
from tests.support.logs import has_traceback
from tests.support.ports import free_port
from tests.support.waiting import WITHIN, until

_numbers = itertools.count()


class Service:
    """A running ``jdobb serve --workers N``."""

    def __init__(self, running: Running, port: int) -> None:
        self.running, self.port = running, port
        self.url = f"http://127.0.0.1:{port}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged so far."""
        whole = [line for line in self.running.err.splitlines(keepends=True) if line.endswith("\n")]
        return [json.loads(line) for line in whole if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event."""
        return [line for line in self.lines if line["event"] == event]

    @property
    def started(self) -> list[int]:
        """Return the pids of all processes that were started."""
        return [line["process"] for line in self.logged("process started")]

    def client(self, **headers: str) -> httpx.Client:
        """Return a client, which stays with the process that it meets first."""
        limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
        return httpx.Client(base_url=self.url, timeout=WITHIN, limits=limits, headers=headers)

    def pid_behind(self, client: httpx.Client) -> int:
        """Return which process answers a client."""
        name = f"who-answers-{next(_numbers)}"
        client.get("/jobs", params={"limit": 1}, headers={"x-request-id": name}).raise_for_status()
        until(lambda: any(line.get("request_id") == name for line in self.lines))
        return next(line["pid"] for line in self.lines if line.get("request_id") == name)

    @contextlib.contextmanager
    def client_of(self, is_wanted: Callable[[int], bool], **headers: str) -> Iterator[httpx.Client]:
        """Yield a client of a process with such a pid."""
        with contextlib.ExitStack() as stack:
            clients: list[httpx.Client] = []

            def is_met() -> bool:
                clients.append(stack.enter_context(self.client(**headers)))
                return is_wanted(self.pid_behind(clients[-1]))

            until(is_met)
            yield clients[-1]

    @contextlib.contextmanager
    def clients_of_two(self, **headers: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
        """Yield clients of two different processes."""
        with self.client(**headers) as one:
            first = self.pid_behind(one)
            with self.client_of(lambda pid: pid != first, **headers) as other:
                yield one, other

    def wait_for_workers(self, count: int) -> list[dict[str, Any]]:
        """Return the workers when there are so many of living processes."""
        live: list[dict[str, Any]] = []

        def are_there() -> bool:
            with self.client() as client:
                items = client.get("/workers").json()["items"]
            live[:] = [worker for worker in items if _lives(worker["pid"])]
            return len(live) == count

        until(are_there)
        return live

    def start_held(self) -> str:
        """Return the id of a job that runs until its file is there."""
        with self.client() as client:
            job_id = str(client.post("/jobs", json={"job_type": "hold"}).json()["id"])
            until(lambda: client.get(f"/jobs/{job_id}").json()["message"] == "holding")
        return job_id

    def wait_until_it_refuses(self) -> None:
        """Wait until nobody listens at the address."""
        until(self._refuses)

    def _refuses(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0

    def assert_nothing_is_left(self) -> None:
        """Check that no process stays, and that the port can be had."""
        until(lambda: not any(_lives(pid) for pid in self.started))
        socket.create_server(("127.0.0.1", self.port)).close()


def _lives(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - no file
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    return True


@contextlib.contextmanager
def serving(jdobb: Jdobb, *arguments: str, workers: int = 2, **options: Any) -> Iterator[Service]:
    port = free_port()
    words = ("serve", "jobs:router", "--workers", str(workers), "--port", str(port), *arguments)
    with jdobb.start(*words, **options) as running:
        running.wait_for_port(str(port))
        service = Service(running, port)
        try:
            yield service
        finally:
            for pid in service.started:
                if _lives(pid):
                    os.kill(pid, signal.SIGCONT)


def test_several_processes_answer_at_one_address(jdobb: Jdobb):
    with serving(jdobb, workers=3) as service:
        with service.clients_of_two() as clients:
            pids = {service.pid_behind(client) for client in clients}
        workers = service.wait_for_workers(3)
        service.running.send(signal.SIGTERM)
        done = service.running.end()
    assert done.code == 0
    assert pids < set(service.started)
    assert sorted(worker["pid"] for worker in workers) == sorted(service.started)
    assert done.out.count("jdobb serves") == 1
    assert {line["pid"] for line in service.lines} == {*service.started, service.running.process.pid}


def test_one_process_has_no_parent(jdobb: Jdobb):
    with serving(jdobb, workers=1) as service:
        (worker,) = service.wait_for_workers(1)
        assert worker["pid"] == service.running.process.pid
        assert not any("pid" in line for line in service.lines)


def test_a_job_posted_through_one_process_is_watched_over_another(jdobb: Jdobb):
    with serving(jdobb, "--no-workers") as service, jdobb.start("worker", "jobs:router") as worker:
        with service.clients_of_two() as (one, other):
            posted = one.post("/jobs", json={"job_type": "hold"})
            job_id = posted.json()["id"]
            seen = []
            with connect_sse(other, "GET", f"/jobs/{job_id}/events") as source:
                for event in source.iter_sse():
                    if not event.data:
                        continue
                    seen.append((event.event, json.loads(event.data)))
                    if seen[-1][1].get("message") == "holding":
                        jdobb.folder.joinpath(f"release-{job_id}").touch()
            job = one.get(f"/jobs/{job_id}")
            same = other.get(f"/jobs/{job_id}", headers={"if-none-match": job.headers["etag"]})
        worker.send(signal.SIGTERM)
        assert worker.end().code == 0
    assert [name for name, _ in seen][-1] == "end"
    assert seen[-2][1]["status"] == "complete"
    assert job.json()["results"] == {"held": True}
    assert same.status_code == httpx.codes.NOT_MODIFIED


def test_a_list_begun_at_one_process_goes_on_at_another(jdobb: Jdobb):
    with serving(jdobb, "--no-workers") as service, service.clients_of_two() as (one, other):
        posted = [one.post("/jobs", json={"job_type": "nobody"}).json()["id"] for _ in range(4)]
        first = one.get("/jobs", params={"limit": 2}).json()
        second = other.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert sorted(job["id"] for job in first["items"] + second["items"]) == sorted(posted)


def test_what_one_process_signs_is_valid_in_the_others_and_in_those_that_follow(jdobb: Jdobb):
    key, secret = new_key("me", ("admin",))
    bearer = {"authorization": f"Bearer {secret}"}
    with serving(jdobb, "--no-workers", JDOBB_API_KEYS=str(key)) as service:
        with service.clients_of_two(**bearer) as (one, other):
            job_id = one.post("/jobs", json={"job_type": "nobody"}).json()["id"]
            sig = one.post("/events/token", json={"jobs": [job_id]}).json()["sig"]
            session = one.post("/session").headers["set-cookie"].partition(";")[0]
            signer = service.pid_behind(one)
            del other.headers["authorization"]
            assert other.get("/jobs", headers={"cookie": session}).status_code == httpx.codes.OK
            assert other.get("/jobs").status_code == httpx.codes.UNAUTHORIZED
            stream = f"/jobs/{job_id}/events"
            with other.stream("GET", stream, params={"sig": sig}) as answer:
                assert answer.status_code == httpx.codes.OK
            os.kill(signer, signal.SIGKILL)
        known = set(service.started)
        with service.client_of(lambda pid: pid not in known, **bearer) as new:
            del new.headers["authorization"]
            assert new.get("/jobs", headers={"cookie": session}).status_code == httpx.codes.OK


def test_when_one_process_is_killed_the_others_go_on_and_a_new_one_comes(jdobb: Jdobb):
    with serving(jdobb) as service:
        killed = service.wait_for_workers(2)[0]["pid"]
        before = set(service.started)
        os.kill(killed, signal.SIGKILL)
        service.running.wait_for("process ended unexpectedly")
        with service.client_of(lambda pid: pid not in before):
            service.wait_for_workers(2)
        (told,) = service.logged("process ended unexpectedly")
        service.running.send(signal.SIGTERM)
        assert service.running.end().code == 0
    assert (told["process"], told["signal"]) == (killed, "SIGKILL")
    service.assert_nothing_is_left()


def test_a_signal_says_goodbye_to_streams_and_lets_jobs_finish(jdobb: Jdobb):
    with serving(jdobb) as service:
        service.wait_for_workers(2)
        held = service.start_held()
        names = []
        with service.clients_of_two() as clients, contextlib.ExitStack() as stack:
            streams = [
                stack.enter_context(connect_sse(client, "GET", f"/jobs/{held}/events")).iter_sse()
                for client in clients
            ]
            for stream in streams:
                next(stream)
            service.running.send(signal.SIGTERM)
            names = [[event.event for event in stream][-1] for stream in streams]
        service.wait_until_it_refuses()
        jdobb.folder.joinpath(f"release-{held}").touch()
        done = service.running.end()
    assert names == ["server.shutdown"] * 2
    assert (done.code, has_traceback(done.err)) == (0, False)
    assert jdobb("get", held, "--json").json["status"] == "complete"
    service.assert_nothing_is_left()


def test_a_second_signal_hurries(jdobb: Jdobb):
    with serving(jdobb, "--shutdown-grace", "600") as service:
        held = service.start_held()
        service.running.send(signal.SIGTERM)
        service.wait_until_it_refuses()
        service.running.send(signal.SIGTERM)
        assert service.running.end().code == 0
    assert jdobb("get", held, "--json").json["status"] == "pending"
    service.assert_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_of_them_at_once_counts_once(jdobb: Jdobb, number: signal.Signals):
    with serving(jdobb, process_group=0) as service:
        service.wait_for_workers(2)
        held = service.start_held()
        os.killpg(service.running.process.pid, number)
        for pid in service.started:
            os.kill(pid, number)
        service.wait_until_it_refuses()
        jdobb.folder.joinpath(f"release-{held}").touch()
        done = service.running.end()
    assert (done.code, has_traceback(done.err)) == (0, False)
    assert jdobb("get", held, "--json").json["status"] == "complete"


def test_ctrl_c_while_they_start_ends_them_quietly(jdobb: Jdobb):
    port = str(free_port())
    words = ("serve", "jobs:router", "--workers", "2", "--port", port)
    with jdobb.start(*words, process_group=0) as running:
        running.wait_for("process started")
        os.killpg(running.process.pid, signal.SIGINT)
        done = running.end()
    assert (done.code, has_traceback(done.err)) == (0, False)


def test_when_the_parent_is_killed_the_others_end_by_themselves(jdobb: Jdobb):
    with serving(jdobb) as service:
        service.wait_for_workers(2)
        held = service.start_held()
        service.running.send(signal.SIGKILL)
        service.wait_until_it_refuses()
        jdobb.folder.joinpath(f"release-{held}").touch()
        done = service.running.end()
    assert not has_traceback(done.err)
    assert jdobb("get", held, "--json").json["status"] == "complete"
    service.assert_nothing_is_left()


def test_a_process_that_does_not_end_is_killed(jdobb: Jdobb):
    with serving(jdobb, "--shutdown-grace", "0") as service:
        stopped = service.wait_for_workers(2)[0]["pid"]
        os.kill(stopped, signal.SIGSTOP)
        service.running.send(signal.SIGTERM)
        done = service.running.end()
    assert done.code == 1
    assert stopped in [line["process"] for line in service.logged("process killed: it did not end in time")]
    service.assert_nothing_is_left()


@pytest.mark.parametrize("url", ["memory://", "sqlite:///:memory:", "sqlite:///%3Amemory:"])
@pytest.mark.parametrize("source", ["arguments", "environment", "file"])
def test_a_store_in_memory_is_refused(jdobb: Jdobb, url: str, source: str):
    words: tuple[str, ...] = ("serve", "jobs:router", "--port", "0")
    environment: dict[str, str] = {}
    if source == "arguments":
        words = (*words, "--workers", "2", "--backend-url", url)
    elif source == "environment":
        environment = {"JDOBB_PROCESSES": "2", "JDOBB_BACKEND_URL": url}
    else:
        jdobb.folder.joinpath("jdobb.toml").write_text(f'processes = 2\nbackend_url = "{url}"\n')
    done = jdobb(*words, **environment)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"jdobb: 2 processes cannot share {url}: ")
    assert "--workers 1" in done.err


@pytest.mark.parametrize("count", ["0", "65", "many"])
def test_how_many_there_can_be_has_bounds(jdobb: Jdobb, count: str):
    done = jdobb("serve", "--workers", count)
    assert (done.code, done.out) == (2, "")
    assert "--workers" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("jobs:router", "--backend-url", "sqlite:////no/such/folder/jobs.db"), 5, "/no/such/folder"),
        (("jobs:router", "--backend-url", "mysql://x"), 2, "Unknown backend: mysql"),
        (("jobs:nobody",), 2, "jobs has no 'nobody'"),
        (("jobs:router", "--host", "0.0.0.0"), 2, "without API keys"),  # noqa: S104 - it is refused
    ],
)
def test_what_cannot_be_served_is_said_once_and_ends_all(
    jdobb: Jdobb, words: tuple[str, ...], code: int, said: str
):
    done = jdobb.process("serve", *words, "--workers", "3", "--port", str(free_port()))
    (line,) = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert (done.code, done.out) == (code, "")
    assert line.startswith("jdobb: ")
    assert said in line
    assert done.err.count("process started") <= 1


def test_a_process_that_dies_before_it_has_ever_served_ends_all(jdobb: Jdobb):
    jdobb.folder.joinpath("deadly.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    done = jdobb.process("serve", "deadly:router", "--workers", "2", "--port", str(free_port()))
    assert done.code == 1
    assert done.err.count("process started") == 1
    assert '"signal":"SIGKILL"' in done.err


_FRAGILE = """
from pathlib import Path
from jobs import router
if Path("broken").exists():
    raise RuntimeError("half deployed")
"""


def test_one_that_cannot_follow_is_tried_again_while_others_serve(jdobb: Jdobb):
    jdobb.folder.joinpath("fragile.py").write_text(_FRAGILE)
    with serving(jdobb, "fragile:router") as service:
        victims = [worker["pid"] for worker in service.wait_for_workers(2)]
        jdobb.folder.joinpath("broken").touch()
        os.kill(victims[0], signal.SIGKILL)
        until(lambda: len(service.logged("process ended unexpectedly")) > 2, within=3 * WITHIN)
        assert httpx.get(f"{service.url}/readyz", timeout=WITHIN).status_code == httpx.codes.OK
        pauses = [line["restart_in"] for line in service.logged("process ended unexpectedly")]
        jdobb.folder.joinpath("broken").unlink()
        service.wait_for_workers(2)
        service.running.send(signal.SIGTERM)
        done = service.running.end()
    assert done.code == 0
    assert pauses[:3] == [0.5, 1.0, 2.0]


def test_when_none_serves_and_none_can_follow_it_ends_with_the_reason(jdobb: Jdobb):
    jdobb.folder.joinpath("fragile.py").write_text(_FRAGILE)
    with serving(jdobb, "fragile:router") as service:
        victims = [worker["pid"] for worker in service.wait_for_workers(2)]
        jdobb.folder.joinpath("broken").touch()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        done = service.running.end()
    assert done.code == 2
    assert "half deployed" in done.err
    service.assert_nothing_is_left()
