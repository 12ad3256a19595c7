"""The OpenAPI document, the problem catalogue, and the pages."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from jdobb_async_queue import Job, JobUpdate, NewJob, RetryPolicy
from jdobb_service.app import RESOURCES
from jdobb_service.document import describe
from jdobb_service.operations import Serve
from jdobb_service.problems import CATALOGUE
from jdobb_service.schemas import jobs as wire
from jdobb_service.sessions import COOKIE
from tests.support.serving import Running

ROOT = Path(__file__).parents[2]
DOCUMENT = describe(RESOURCES)
OPERATIONS = [
    (f"{method.upper()} {path}", spec)
    for path, item in DOCUMENT["paths"].items()
    for method, spec in item.items()
]


def answers_of(spec: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return an operation's answers by status, the usual one first."""
    shared = DOCUMENT["components"]["responses"]
    return [
        (status, shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer)
        for status, answer in spec["responses"].items()
    ]


def examples_of(media: dict[str, Any]) -> list[Any]:
    several = [example["value"] for example in media.get("examples", {}).values()]
    return [*several, media["example"]] if "example" in media else several


def test_the_committed_document_is_what_is_served():
    committed = ROOT.joinpath("openapi/openapi.json").read_text()
    assert committed == json.dumps(describe(RESOURCES), indent=2) + "\n", (
        "write it anew: python -m jdobb_service.openapi > openapi/openapi.json"
    )


async def test_the_service_serves_it(on_memory: Running):
    answer = await on_memory.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(ROOT.joinpath("openapi/openapi.json").read_text())


def test_the_document_is_valid_and_of_version_3_1():
    document = describe(RESOURCES)
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()
    assert "itemSchema" not in json.dumps(document)


def test_every_reference_leads_somewhere_and_nothing_is_left_over():
    document = describe(RESOURCES)
    schemas = document["components"]["schemas"]
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert used == set(schemas)


def test_every_route_is_an_operation_of_the_document():
    served = {
        (method.lower(), route.path)
        for resource in RESOURCES
        for route in resource.routes
        for method in route.methods - {"HEAD"}
    }
    documented = {(method, path) for path, item in describe(RESOURCES)["paths"].items() for method in item}
    assert served == documented
    assert all(isinstance(route.app, Serve) for resource in RESOURCES for route in resource.routes)


def test_operations_are_named_once_and_summed_up():
    operations = [spec for item in describe(RESOURCES)["paths"].values() for spec in item.values()]
    names = [spec["operationId"] for spec in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]{4,20}", name) for name in names)
    assert all(spec["summary"] for spec in operations)


def test_every_error_is_a_problem():
    for call, spec in OPERATIONS:
        for status, answer in answers_of(spec):
            is_error = status.startswith(("4", "5"))
            assert is_error == (list(answer.get("content", ())) == ["application/problem+json"]), call


@pytest.mark.parametrize(("call", "spec"), OPERATIONS, ids=[call for call, _ in OPERATIONS])
def test_each_operation_has_examples_that_fit_their_schemas(call, spec):
    _, success = answers_of(spec)[0]
    shown = list(success.get("content", {}).values())
    if "requestBody" in spec:
        shown += spec["requestBody"]["content"].values()
    assert shown or set(success) == {"description", "headers"}, "only an answer without a body needs none"
    for media in shown:
        examples = examples_of(media)
        assert examples
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        for example in examples:
            Draft202012Validator(schema).validate(example)


def test_an_example_of_an_event_carries_an_update():
    content = dict(OPERATIONS)["GET /jobs/{id}/events"]["responses"]["200"]["content"]
    [event] = examples_of(content["text/event-stream"])
    assert str(JobUpdate.model_validate_json(event["data"]).seq) == event["id"]


def test_each_answer_declares_the_headers_that_all_have():
    assert OPERATIONS
    for call, spec in OPERATIONS:
        for status, answer in answers_of(spec):
            assert {"X-Request-Id", "Cache-Control"} <= set(answer["headers"]), (call, status)
    used = set(re.findall(r"#/components/headers/([\w-]+)", json.dumps(DOCUMENT)))
    assert used == set(DOCUMENT["components"]["headers"])


def test_each_way_to_authenticate_is_a_security_scheme():
    ways = {call: {way for need in spec.get("security", ()) for way in need} for call, spec in OPERATIONS}
    assert {call for call, found in ways.items() if "sig" in found} == {
        "GET /events",
        "GET /jobs/{id}/events",
    }
    assert {call for call, found in ways.items() if "session" not in found} == {
        "GET /livez",
        "GET /readyz",
        "POST /session",
        "DELETE /session",
    }
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert set().union(*ways.values()) == set(schemes)
    assert schemes["session"]["name"] == COOKIE


def test_the_wire_has_the_librarys_names():
    assert wire.Job.model_fields.keys() == Job.model_fields.keys() - {"lease_token", "lease_expires_at"}
    ours = set(NewJob.model_fields) - {"job_id", "request_id", "traceparent"} | {"id"}
    assert set(wire.NewJob.model_fields) == ours
    assert wire.RetryPolicy.model_fields.keys() == RetryPolicy.model_fields.keys()
    for name, field in wire.RetryPolicy.model_fields.items():
        default = RetryPolicy.model_fields[name].default
        assert field.default == (list(default) if isinstance(default, tuple) else default)


def test_the_problem_page_has_the_catalogue():
    page = ROOT.joinpath("docs/problems.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(code, str(kind.status), kind.when) for code, kind in CATALOGUE.items()]


def test_no_operation_borrows_the_description_of_another():
    document = describe(RESOURCES)
    operations = [item for path in document["paths"].values() for item in path.values()]
    described = [item["description"] for item in operations if item.get("description")]
    assert len(described) == len(set(described))


async def test_the_pages_ask_nobody_else(on_memory: Running):
    for path in ("/", "/docs"):
        page = await on_memory.client.get(path)
        assert (page.status_code, page.headers["x-content-type-options"]) == (200, "nosniff")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "://" not in page.text
        assert not re.search(r"<script(?!( type=.module.)? src)|<style|\son\w+=|style=", page.text)
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            found = await on_memory.client.get(f"/{link}")
            assert found.status_code == 200, link
            if found.headers.get("etag", "").endswith('"') and link.startswith("docs"):
                again = await on_memory.client.get(
                    f"/{link}", headers={"if-none-match": found.headers["etag"]}
                )
                assert again.status_code == 304


@pytest.mark.parametrize(("place", "licence"), [("swagger", "LICENSE"), ("vendor", "LICENSE.uplot")])
def test_the_vendored_files_are_what_their_manifest_says(place: str, licence: str):
    folder = files("jdobb_service") / "ui" / place
    manifest = json.loads((folder / "manifest.json").read_text())
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.name != "manifest.json"
    }
    assert found == manifest["sha256"]
    assert licence in found


def test_the_dashboard_watches_by_the_module_of_the_examples():
    ours = files("jdobb_service") / "ui" / "dashboard" / "job-stream.js"
    assert ours.read_bytes() == ROOT.joinpath("examples/job-stream.js").read_bytes()
    assert len(ours.read_bytes()) < 3072


async def test_nothing_but_the_dashboards_own_files_is_served_below_ui(on_memory: Running):
    for path in ("dashboard/main.js", "vendor/preact.js", "dashboard/style.css"):
        found = await on_memory.client.get(f"/ui/{path}")
        assert found.status_code == 200
        again = await on_memory.client.get(f"/ui/{path}", headers={"if-none-match": found.headers["etag"]})
        assert again.status_code == 304
    for path in ("vendor/manifest.json", "dashboard/", "index.html", "../pages.py", "%2e%2e/pages.py"):
        assert (await on_memory.client.get(f"/ui/{path}")).status_code == 404


async def test_on_the_dashboard_no_text_becomes_code(on_memory: Running):
    page = await on_memory.client.get("/")
    assert "require-trusted-types-for 'script'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("kind", CATALOGUE.items(), ids=lambda item: item[0])
def test_every_problem_is_an_error_with_a_sentence(kind):
    code, problem = kind
    assert re.fullmatch(r"[a-z-]+", code)
    assert 400 <= problem.status < 600
    assert problem.when.endswith(".")
