"""What is logged: every line of an attempt is found by its job, and nothing secret is in any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from jdobb_service.keys import new_key
from jdobb_service.masking import masked
from tests.support.processes import service
from tests.support.serving import Running
from tests.support.waiting import until

MARKED = "m4rked-payload"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HANDLERS = """
import asyncio, logging
import structlog
from jdobb_async_queue import JobQueue, JobRouter

router = JobRouter()
plain, structured = logging.getLogger("app"), structlog.get_logger("app")

@router.handler("speak", max_attempts=1)
async def speak(ctx):
    plain.info("plain line")
    await asyncio.sleep(0)
    structured.info("structured line")
    return {"traceparent": ctx.job.traceparent, "request_id": ctx.job.request_id}

@router.handler("fail", max_attempts=1)
async def fail(ctx):
    payload = ctx.data
    raise LookupError("no such customer")

submit = JobQueue.submit

async def defective(self, job, **options):
    if job.job_type == "defect":
        raise RuntimeError("a defect")
    if job.job_type == "quote":
        raise RuntimeError(f"a defect with {job.data['x']}")
    return await submit(self, job, **options)

JobQueue.submit = defective
"""


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def _post(client: Any, job_type: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"job_type": job_type, "data": {"x": MARKED}, "metadata": {"y": MARKED}}
    return client.post("/jobs", json=body, headers={"prefer": "wait=20", **named})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    tmp_path.joinpath("speaking.py").write_text(HANDLERS)
    return tmp_path / "log"


def test_what_a_handler_logs_carries_its_job_and_the_request_that_asked_for_it(log: Path):
    with service(
        "speaking:router", "--backend-url", "memory://", "--log-format", "json", "--log-level", "debug",
        log=log, PYTHONPATH=str(log.parent),
    ) as client:  # fmt: skip
        jobs = [
            _post(client, "speak", x_request_id=f"request-{number}", traceparent=TRACE).json()
            for number in (1, 2)
        ]
        without = _post(client, "speak", traceparent="no trace").json()
        failed = _post(client, "fail", x_request_id="request-3").json()
        until(lambda: [line for line in _lines(log) if "no such customer" in line["event"]])
    assert [job["results"] for job in jobs] == [
        {"traceparent": TRACE, "request_id": f"request-{number}"} for number in (1, 2)
    ]
    assert without["results"]["traceparent"] is None
    said = _lines(log)
    for event in ("plain line", "structured line"):
        spoken = [line for line in said if line["event"] == event]
        assert [(line["job_id"], line["job_type"], line["attempt"], line["request_id"]) for line in spoken][
            :2
        ] == [(job["id"], "speak", 1, job["request_id"]) for job in jobs]
        assert [line.get("traceparent") for line in spoken] == [TRACE, TRACE, None]
    (told,) = [line for line in said if "no such customer" in line["event"]]
    assert (told["job_id"], told["attempt"], told["request_id"]) == (failed["id"], 1, "request-3")
    others = [line for line in said if line["event"] == "request"]
    assert others
    assert not any("job_id" in line for line in others)


@pytest.mark.parametrize("form", ["json", "console"])
def test_neither_payloads_nor_keys_are_in_any_line_even_of_a_defect(log: Path, form: str):
    key, secret = new_key("shop", ("admin",))
    with service(
        "speaking:router", "--backend-url", "memory://", "--log-format", form, "--log-level", "debug",
        log=log, PYTHONPATH=str(log.parent), JDOBB_API_KEYS=str(key),
    ) as client:  # fmt: skip
        client.headers["authorization"] = f"Bearer {secret}"
        assert _post(client, "speak").json()["status"] == "complete"
        assert _post(client, "fail").json()["status"] == "failed"
        assert _post(client, "no such type").status_code == 422
        assert _post(client, "defect").status_code == 500
        assert client.get("/jobs", params={"sig": "t0ps3cret", "metadata.y": "z"}).status_code == 422
        wrong = client.get("/jobs", headers={"authorization": "Bearer wr0ngs3cret"})
        assert wrong.status_code == 401
        until(lambda: "no such customer" in log.read_text())
    text = log.read_text()
    assert "a defect" in text
    assert "defective" in text, "the traceback names the place"
    secrets = [MARKED, secret, secret.split("_", 2)[2], key.sha256, "t0ps3cret", "wr0ngs3cret"]
    assert [word for word in secrets if word in text] == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_key_in_an_address_is_in_no_line_and_in_no_problem(log: Path, form: str):
    key, secret = new_key("shop", ("admin",))
    own = "h0mem4de"
    with service(
        "speaking:router", "--backend-url", "memory://", "--log-format", form, "--log-level", "debug",
        log=log, PYTHONPATH=str(log.parent), JDOBB_API_KEYS=str(key),
    ) as client:  # fmt: skip
        client.headers["authorization"] = f"Bearer {secret}"
        sig = client.post("/events/token", json={"jobs": [_post(client, "speak").json()["id"]]}).json()["sig"]
        body = {"job_type": "quote", "data": {"x": f"{secret} {sig}"}}
        answers = [client.post("/jobs", json=body)]
        for looks in (secret, sig):
            paths = [f"/jobs/{looks}", f"/jobs/{looks}/events", f"/{looks}/jobs", f"/jobs?x={looks}"]
            paths += [
                f"/jobs?{looks}",
                f"/jobs?{looks}=1",
                f"/jobs?limit=Bearer%20{looks}",
                f"/%5f?x=;{looks}",
            ]
            paths += [f"/jobs?{'x' * 1000}={looks}", f"/jobs?{'token=x&' * 200}x={looks}"]
            answers += [client.get(path) for path in paths]
        names = "sig", "api_key", "apikey", "token", "access_token", "X-API-Key", "password", "secret", "auth"
        answers += [client.get("/jobs", params={name: own}) for name in names]
        answers.append(client.get("/jobs", params={"cursor": "c0urs0r", "status": "st4tus"}))
    text = log.read_text()
    assert "a defect with *** ***" in text
    assert text.count("***") > len(answers)
    assert "c0urs0r" in text
    assert "st4tus" in text
    assert [word for word in (secret, secret[-43:], sig, sig[-43:], own) if word in text] == []
    told = [answer.text for answer in answers]
    assert not [word for word in (secret, sig, own) if any(word in each for each in told)]


async def test_an_application_that_logs_by_itself_gets_no_key_either(on_memory: Running):
    _, secret = new_key("shop")
    with capture_logs() as said:
        await on_memory.client.get(f"/jobs/{secret}", params={"x": secret, "api_key": "h0mem4de"})
    (line,) = [line for line in said if line["event"] == "request"]
    assert (line["path"], line["query"]) == ("/jobs/***", "x=***&api_key=***")


@pytest.mark.parametrize(
    "text",
    [
        "jdobb_async_queue.backends.sqlite.connection",
        "/site-packages/jdobb_service/routes/listing.py",
        "jdobb_queue_latency_seconds_bucket",
        "jdobb_worker_restarts_total",
        "AQAAAA",
        "01a20f50-bbd9-7000-85fd-0afaad397c43",
    ],
)
def test_what_only_begins_like_a_key_is_left_alone(text: str):
    assert masked(text) == text
