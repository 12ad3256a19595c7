"""``jdobb doctor``, ``openapi`` and ``keys new``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jdobb_service.keys import digest, parse_keys
from tests.cli.command import Jdobb
from tests.support.ports import free_port
from tests.support.processes import ROOT

FINDING = {"name", "verdict", "detail"}


def verdicts(jdobb: Jdobb, *words: str, code: int = 0) -> dict[str, str]:
    """Return the doctor's last verdict on each thing, each with its detail."""
    done = jdobb("doctor", *words, "--json")
    assert done.code == code
    assert all(set(item) == FINDING for item in done.json["checks"])
    return {item["name"]: f"{item['verdict']}: {item['detail']}" for item in done.json["checks"]}


def test_the_doctor_finds_everything_in_place(jdobb: Jdobb):
    done = jdobb.process("doctor", "jobs:router")
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.split() == ["CHECK", "VERDICT", "DETAIL"]
    found = [line.split()[:2] for line in lines]
    assert found == [[name, "ok"] for name in ("version", "handlers", "settings", "store", "workers")]


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
    assert "is ready, stores jobs in memory, runs jobs" in found["service"]
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
