"""``jdobb doctor``, ``openapi`` and ``keys new``."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from jdobb_async_queue import JobQueue
from jdobb_service.keys import digest, parse_keys
from tests.cli.command import Jdobb
from tests.support.ports import free_port
from tests.support.processes import ROOT
from tests.support.redis_server import RedisServer, database_url

FINDING = {"name", "verdict", "detail", "remedy"}


def verdicts(jdobb: Jdobb, *words: str, code: int = 0) -> dict[str, str]:
    """Return the doctor's last verdict on each thing, each with its detail."""
    done = jdobb("doctor", *words, "--json", JDOBB_PORT="0")
    assert done.code == code
    assert all(set(item) == FINDING for item in done.json["checks"])
    assert all((item["remedy"] is None) == (item["verdict"] == "ok") for item in done.json["checks"])
    return {item["name"]: f"{item['verdict']}: {item['detail']}" for item in done.json["checks"]}


def test_the_doctor_finds_everything_in_place(jdobb: Jdobb):
    done = jdobb.process("doctor", "jobs:router", JDOBB_PORT="0")
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.split() == ["CHECK", "VERDICT", "DETAIL"]
    found = [line.split()[:2] for line in lines]
    looked_at = ("version", "handlers", "settings", "port", "store", "journal", "filesystem", "workers")
    assert found == [[name, "ok"] for name in looked_at]


def test_the_doctor_names_the_place_of_the_store_and_the_handlers(jdobb: Jdobb):
    found = verdicts(jdobb, "jobs:router", "--backend-url", "sqlite:///here.db")
    assert found["handlers"] == "ok: echo, boom, hold, block"
    assert found["store"].startswith(f"ok: sqlite:///{jdobb.folder / 'here.db'} answers in ")


def test_the_doctor_finds_a_worker_at_work(store: Jdobb):
    assert verdicts(store)["workers"] == "ok: 1 at work"


def test_the_doctor_warns_of_jobs_that_nobody_runs(jdobb: Jdobb):
    jdobb("enqueue", "echo")
    assert verdicts(jdobb)["jobs"] == "warning: 1 of type echo wait, and no worker runs them"
    assert "jobs" not in verdicts(jdobb, "jobs:router")


async def test_the_doctor_warns_of_jobs_that_nobody_holds_any_more(jdobb: Jdobb):
    async with JobQueue.from_url(f"sqlite:///{jdobb.folder / 'jdobb.db'}") as queue:
        await queue.enqueue("left")
        await queue.claim(["left"])
    done = await asyncio.to_thread(jdobb.process, "doctor", "--json", JDOBB_PORT="0")
    (found,) = [item for item in done.json["checks"] if item["name"] == "leases"]
    assert (done.code, found["verdict"]) == (0, "warning")
    assert found["detail"] == "1 of type left are held by a worker that is gone"
    assert "when their leases have expired" in found["remedy"]


def test_the_doctor_names_a_paused_type(jdobb: Jdobb):
    jdobb("pause", "echo", "--reason", "tea")
    assert verdicts(jdobb)["jobs"] == "warning: echo is paused: tea"


def test_the_doctor_warns_of_a_port_that_is_taken(jdobb: Jdobb):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = jdobb("doctor", "--json", JDOBB_PORT=str(port))
    (found,) = [item for item in done.json["checks"] if item["name"] == "port"]
    assert (done.code, found["verdict"]) == (0, "warning")
    assert "--port" in found["remedy"]


def test_the_doctor_says_where_settings_came_from(jdobb: Jdobb):
    jdobb.folder.joinpath("jdobb.toml").write_text("retention = 60\n")
    jdobb.environment["JDOBB_LEASE"] = "5"
    found = verdicts(jdobb, "--namespace", "mine")["settings"]
    assert "namespace from the argument" in found
    assert "lease from the environment" in found
    assert "retention from jdobb.toml" in found
    assert found.endswith("the rest by default")


def test_the_doctor_warns_of_a_variable_that_sets_nothing(jdobb: Jdobb):
    jdobb.environment["JDOBB_LEESE"] = "5"
    assert verdicts(jdobb)["variables"] == "warning: JDOBB_LEESE is no setting; did you mean JDOBB_LEASE?"


def test_the_doctor_looks_at_a_redis_server(jdobb: Jdobb):
    found = verdicts(jdobb, "--backend-url", database_url(jdobb.folder))
    assert found["memory"].startswith("ok: maxmemory-policy is noeviction")
    assert found["persistence"] == "warning: none: all jobs are lost when the server ends"
    assert found["clock"].startswith("ok: ")
    assert found["store"].startswith("ok: redis://")


def test_the_doctor_exits_1_at_a_redis_server_that_drops_jobs(jdobb: Jdobb):
    server = RedisServer(jdobb.folder, "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes").start()
    try:
        done = jdobb("doctor", "--backend-url", server.url, "--json", JDOBB_PORT="0")
    finally:
        server.kill()
    found = {item["name"]: item for item in done.json["checks"]}
    assert (done.code, found["memory"]["verdict"]) == (1, "failure")
    assert "allkeys-lru" in found["memory"]["detail"]
    assert "CONFIG SET maxmemory-policy noeviction" in found["memory"]["remedy"]
    assert found["persistence"]["verdict"] == "ok"


def test_the_doctor_says_that_a_redis_server_is_away(jdobb: Jdobb):
    found = verdicts(jdobb, "--backend-url", f"redis://127.0.0.1:{free_port()}/0", code=1)
    assert found["store"].startswith("failure: ")
    assert "defect" not in found["store"]


@pytest.mark.parametrize(
    ("words", "environment", "name", "detail"),
    [
        (["absent:router"], {}, "handlers", "there is no module absent"),
        ([], {"JDOBB_LEASE": "long"}, "settings", "lease: "),
        (["--backend-url", "memory://"], {}, "settings", "lives inside one process only"),
        (["--backend-url", "sqlite:///jobs.py"], {}, "store", "is not an SQLite database"),
    ],
)
def test_the_doctor_exits_1_when_something_cannot_work(
    jdobb: Jdobb, words: list[str], environment: dict[str, str], name: str, detail: str
):
    jdobb.environment.update(environment)
    found = verdicts(jdobb, *words, code=1)
    assert found[name].startswith("failure: ")
    assert detail in found[name]


def test_the_doctor_examines_a_service(service: Jdobb):
    found = verdicts(service)
    assert found["service"].startswith("ok: http://127.0.0.1:")
    assert "is ready, stores jobs in memory, runs jobs, answers in " in found["service"]
    assert found["clock"] == "ok: the service's clock and ours agree within 2 s"
    assert found["workers"] == "ok: 1 at work"
    assert found["access"] == "ok: may read jobs"


def test_the_doctor_says_when_the_service_is_away(jdobb: Jdobb):
    found = verdicts(jdobb, "--url", f"http://127.0.0.1:{free_port()}", code=1)
    assert found["service"].startswith("failure: cannot reach the service")


def test_openapi_prints_the_document_of_this_version(jdobb: Jdobb):
    done = jdobb.process("openapi")
    assert (done.code, done.err) == (0, "")
    assert done.json == json.loads(ROOT.joinpath("openapi/openapi.json").read_text())


def test_openapi_of_a_service_is_what_it_serves(service: Jdobb):
    assert service("openapi").json["openapi"] == "3.1.0"


def test_openapi_goes_into_a_file(jdobb: Jdobb):
    done = jdobb("openapi", "-o", "document.json")
    assert (done.code, done.out) == (0, "")
    assert json.loads(Path(jdobb.folder, "document.json").read_text())["openapi"] == "3.1.0"
    assert jdobb("openapi", "-o", "absent/document.json").code == 2


def test_a_new_key_is_a_secret_for_its_caller_and_a_line_for_the_service(jdobb: Jdobb):
    done = jdobb.process(
        "keys", "new", "billing", "--scope", "enqueue", "--scope", "read", "--type", "bill.*"
    )
    assert done.code == 0
    secret, line = done.out.splitlines()
    assert parse_keys(line) == [
        {"id": "billing", "sha256": digest(secret), "scopes": ["enqueue", "read"], "job_types": ["bill.*"]}
    ]


def test_a_new_key_as_json(jdobb: Jdobb):
    made = jdobb("keys", "new", "shop", "--json").json
    assert set(made) == {"id", "secret", "key"}
    assert made["key"] == f"shop:{digest(made['secret'])}:enqueue+read+cancel"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(["two words"], "ID: "), (["a", "--type", "a b"], "--type: "), (["a", "--scope", "x"], "x")],
)
def test_keys_that_cannot_be_are_refused(jdobb: Jdobb, words: list[str], complaint: str):
    done = jdobb("keys", "new", *words)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err
