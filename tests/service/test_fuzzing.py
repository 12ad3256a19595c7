"""Generated calls of every operation of the document, against a service as a process: it keeps its word.

Whatever a case holds, the answer has a status, a content type, headers and a body that the document declares,
and is no 500. Cases name jobs, workers, leases and keys that there are, fresh ones for each.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import examples
import jdobb_async_queue
import jdobb_service
from jdobb_service.keys import new_key
from tests.support.processes import service

DOCUMENT = json.loads(Path(__file__).parents[2].joinpath("openapi/openapi.json").read_text())
CONFIG = SchemathesisConfig.from_dict({"max-stream-events": 1})  # streams are read to their first event
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SEED = 20300131
CASES = 80
PATIENCE = 40.0
LONGEST_WAIT = 0.05

HELD = "fuzz.held"
STATUSES = ("pending", "processing", "complete", "failed", "cancelled")
KEY, SECRET = new_key("admin", ("admin",))
LIMITED_KEY, LIMITED_SECRET = new_key("limited", ("enqueue", "read", "cancel", "work"), ("fuzz.*", "mail"))

# Generated values take constants from the modules that are loaded: with all of them, a part of the tests
# generates the same as the whole.
for package in (examples, jdobb_async_queue, jdobb_service):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


@dataclass(frozen=True)
class Choice:
    """What a case uses of what there is, in place of what was generated; None leaves that as it is."""

    status: str | None
    token: bool
    job_type: str | None
    secret: str | None
    prefer: str | None


CHOICES = st.builds(
    Choice,
    status=st.sampled_from((*STATUSES, *STATUSES, None)),
    token=st.sampled_from((True, True, True, False)),
    job_type=st.sampled_from((None, "mail", "text.report", "fuzz.unknown", HELD)),
    secret=st.sampled_from((SECRET, SECRET, SECRET, SECRET, LIMITED_SECRET, None)),
    prefer=st.sampled_from((None, None, "wait=0", 'respond-async, wait="0"', "wait=x")),
)


class Stage:
    """A running service, and jobs, leases and workers on it for one case after the other."""

    def __init__(self, client: httpx.Client, session: requests.Session) -> None:
        self._client, self._numbers = client, count()
        self.url, self.session = str(client.base_url), session

    def job(self, status: str) -> dict[str, Any]:
        """Return a new job in a status; one that was started has its lease token."""
        if status in {"pending", "cancelled"}:
            job = self._post("/jobs", job_type="fuzz.waiting", id=f"job-{next(self._numbers)}", delay=3600)
            return self._post(f"/jobs/{job['id']}/cancel") if status == "cancelled" else job
        self._post("/jobs", job_type=HELD, data={"number": next(self._numbers)})
        [job] = self._post("/worker/claim", worker_id="fuzz-1", job_types=[HELD])["jobs"]
        token = {"lease_token": job["lease_token"]}
        if status == "complete":
            self._post(f"/worker/jobs/{job['id']}/complete", **token, results={"done": True})
        if status == "failed":
            error = {"type": "Empty", "message": "nothing is left"}
            self._post(f"/worker/jobs/{job['id']}/fail", **token, error=error, retry=False)
        return job

    def worker(self) -> str:
        """Return the id of a worker that has just sent a heartbeat."""
        self._post("/worker/heartbeat", worker_id="fuzz-1")
        return "fuzz-1"

    def sig(self, job_id: str) -> str:
        """Return what opens the streams of a job."""
        sig: str = self._post("/events/token", jobs=[job_id])["sig"]
        return sig

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self._client.post(path, json=body, headers={"authorization": f"Bearer {SECRET}"})
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("fuzzing")
    store = f"sqlite:///{folder / 'jobs.db'}"
    keys = f"{KEY},{LIMITED_KEY}"
    log = folder / "log"
    serving = service("examples.handlers:router", "--backend-url", store, log=log, JDOBB_API_KEYS=keys)
    with serving as client, requests.Session() as session:
        yield Stage(client, session)


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_that_the_document_declares(stage: Stage, label: str):
    operation = OPERATIONS[label]
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )
    answered: set[int] = set()

    @seed(SEED)
    @settings(max_examples=CASES, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(case=cases, choice=CHOICES)
    def keeps_its_word(case: Case, choice: Choice) -> None:
        headers = prepare(case, choice, stage)
        answer = case.call(stage.url, session=stage.session, headers=headers, timeout=PATIENCE)
        case.validate_response(answer, checks=CHECKS, headers=headers)
        answered.add(answer.status_code)

    keeps_its_word()
    declared = {int(status) for status in operation.definition.raw["responses"]}
    assert answered <= declared
    assert any(status < 300 for status in answered), "every case was refused"


def prepare(case: Case, choice: Choice, stage: Stage) -> dict[str, str]:
    """Put into a case what there is, bound its waiting, and return the headers to send beside its own."""
    headers = {} if choice.secret is None else {"Authorization": f"Bearer {choice.secret}"}
    if choice.prefer is not None:
        headers["Prefer"] = choice.prefer
    job = stage.job(choice.status) if choice.status is not None and names_a_job(case) else None
    if "id" in case.path_parameters and choice.status is not None:
        case.path_parameters["id"] = stage.worker() if job is None else job["id"]
    if "job_type" in case.path_parameters and choice.job_type not in {None, HELD}:
        case.path_parameters["job_type"] = choice.job_type
    if isinstance(case.query, dict):
        prepare_query(case, choice, job, stage)
    if isinstance(case.body, dict):
        case.body = prepare_body(case, choice, job)
    return headers


def names_a_job(case: Case) -> bool:
    return "/jobs/{id}" in case.operation.path or case.operation.label in {
        "GET /events",
        "POST /events/token",
        "POST /jobs",
        "POST /jobs/bulk",
        "POST /worker/heartbeat",
    }


def prepare_query(case: Case, choice: Choice, job: dict[str, Any] | None, stage: Stage) -> None:
    if "wait" in case.query:
        case.query["wait"] = bounded(case.query["wait"])
    if job is not None and "job" in case.query:
        case.query["job"] = [job["id"], job["id"]]
    elif choice.job_type is not None and "job_type" in case.query:
        case.query["job_type"] = [choice.job_type]
    if job is not None and choice.secret is None and case.operation.path.endswith("/events"):
        case.query["sig"] = stage.sig(job["id"])


def prepare_body(case: Case, choice: Choice, job: dict[str, Any] | None) -> dict[str, Any]:
    body = dict(case.body)
    if "wait" in body:
        body["wait"] = bounded(body["wait"])
    if choice.job_type is not None and "job_type" in body:
        body["job_type"] = choice.job_type
    if job is None:
        return body
    token = job.get("lease_token", "none")
    if choice.token and "lease_token" in body:
        body["lease_token"] = token
    lease = {"job_id": job["id"], "lease_token": token}
    ours = {"leases": [lease], "ids": [job["id"], "unknown"], "jobs": [job["id"]], "id": job["id"]}
    return {**body, **{name: ours[name] for name in body.keys() & ours.keys()}}


def bounded(wait: Any) -> Any:
    """Return a wait that ends soon in place of a longer one, and what is no wait as it is."""
    if isinstance(wait, list):
        return [bounded(each) for each in wait]
    try:
        return LONGEST_WAIT if float(wait) > LONGEST_WAIT else wait
    except (TypeError, ValueError, OverflowError):
        return wait
