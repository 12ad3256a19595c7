"""The page about HTTP: its lines work in their order against a service, and answer what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from jdobb_service.app import create_app
from jdobb_service.settings import Settings
from tests.docs.blocks import blocks_of, calls_in, run_block, table
from tests.docs.service import Service, serving
from tests.support.waiting import WITHIN

PAGE = "docs/http.md"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("http")) as service:
        yield service


def test_the_shell_lines_work_in_their_order(service: Service):
    blocks = blocks_of(PAGE, "sh")
    said = [service.run(block.text) for block in blocks]
    enqueue, repeat, batch, look, result, cancel, remove, bulk, watch, many, access, *rest = said
    work, types, figures, workers = rest
    assert enqueue.startswith("HTTP/1.1 201")
    assert re.search(r"^location: /jobs/", enqueue, re.MULTILINE | re.IGNORECASE)
    ids = re.findall(r'\{"id":"([^"]+)"', repeat)
    assert len(ids) == 4
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert [job["id"] for job in json.loads(batch)["items"]] == ["part-1", "part-2"]
    assert look.count('"text":"order 18"') >= 3
    assert "words" in json.loads(result)
    assert remove == ""
    trial, cancelled, deleted = (json.loads(line) for line in re.findall(r"\{.+?\](?=,\"more)[^}]*\}", bulk))
    assert (trial["matched"] >= 2, trial["done"]) == (True, 0)
    assert (cancelled["done"], cancelled["failed"]) == (2, [{"id": "part-3", "code": "job-not-found"}])
    assert (deleted["done"] >= 2, deleted["more"]) == (True, False)
    assert cancel.count('"status":"cancelled"') == 2
    assert '"error":"changed my mind"' in cancel
    assert cancel.endswith("}")
    updates = [json.loads(line) for line in re.findall(r"^data: (.+)$", watch, re.MULTILINE)]
    assert next(update["status"] for update in updates if "progress" in update) in {"pending", "processing"}
    assert "event: end" in watch
    assert many.count("event: end") == 2
    assert re.search(r'"sig":"[A-Za-z0-9_-]{60,}"', access)
    assert '"caller":"anonymous"' in access
    assert types.count('"max_pending":10000') == 3
    assert types.count('"pause_reason":"the mail server is down"') == 1
    assert '"job_types":{' in figures
    assert '"directive":"run"' in workers
    assert '{"status":"ok","lease_expires_in":60.0}' in work
    assert '"directive":"run"' in work
    assert re.findall(r'"results":(\{[^}]*\})', work) == ['{"text":"hello ida"}']


def test_a_payload_that_does_not_fit_points_at_the_place(service: Service):
    block = next(block for block in blocks_of(PAGE, "console") if "csv.profile" in block.text)
    body = re.search(r"-d '(.+)'", block.text)
    assert body is not None
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{service.url}/jobs", content=body[1], headers=headers, timeout=WITHIN)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/data/sep"]


async def test_the_service_can_be_mounted_into_an_application():
    names = await run_block(blocks_of(PAGE, "python")[0].text, {})
    app = names["app"]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        answer = await client.post("/queue/jobs", json={"job_type": "anything"})
        assert answer.status_code == 201
        job = await client.get(answer.headers["location"])
        assert job.json()["status"] == "pending"
        assert answer.headers["location"] == f"/queue/jobs/{job.json()['id']}"


def test_the_scopes_are_those_of_the_document():
    document = create_app(Settings(backend_url="memory://")).openapi()
    needed = {
        (method.upper(), path, scope)
        for path, item in document["paths"].items()
        for method, described in item.items()
        for scheme in described.get("security", [])
        for scope in scheme.get("apiKey", ())
    }
    shown = {(*call, row[0].strip("`")) for row in table(PAGE, "Keys") for call in calls_in(row[1])}
    assert shown == needed
