"""A whole number may be written as 17.0: an integer to JSON Schema, and what PHP prints of a float."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from jdobb_service.app import RESOURCES
from jdobb_service.document import describe
from tests.support.serving import Running, pointers

JOB = {"job_type": "mail"}
FIELDS: dict[tuple[str, str], tuple[str, str, Any]] = {
    ("NewJob", "max_attempts"): ("POST", "/jobs", {**JOB, "max_attempts": "HERE"}),
    ("NewJob", "max_lost"): ("POST", "/jobs/batch", {"jobs": [{**JOB, "max_lost": "HERE"}]}),
    ("RetryPolicy", "max_attempts"): ("POST", "/jobs", {**JOB, "retry": {"max_attempts": "HERE"}}),
    ("JobTypeSettings", "max_lost"): ("PUT", "/job-types/mail", {"max_lost": "HERE"}),
    ("JobTypeSettings", "max_pending"): ("PUT", "/job-types/mail", {"max_pending": "HERE"}),
    ("NewEventToken", "ttl"): ("POST", "/events/token", {"jobs": ["a"], "ttl": "HERE"}),
    ("Claim", "limit"): ("POST", "/worker/claim", {"worker_id": "w", "limit": "HERE"}),
}
"""Each integer that a request may hold, by its schema and name, and a request that holds it."""


def with_number(value: Any, number: float) -> Any:
    if isinstance(value, dict):
        return {name: with_number(part, number) for name, part in value.items()}
    if isinstance(value, list):
        return [with_number(part, number) for part in value]
    return number if value == "HERE" else value


def integers_of_requests() -> set[tuple[str, str]]:
    """Return the integer fields of every schema that a request body is made of."""
    document = describe(RESOURCES)
    schemas = document["components"]["schemas"]
    operations = [spec for item in document["paths"].values() for spec in item.values()]
    found: set[str] = set()
    new = names_in([spec.get("requestBody") for spec in operations])
    while new:
        found |= new
        new = names_in([schemas[name] for name in new]) - found
    return {
        (name, field)
        for name in found
        for field, schema in schemas[name].get("properties", {}).items()
        if '"type": "integer"' in json.dumps(schema)
    }


def names_in(node: Any) -> set[str]:
    """Return the schemas that are referred to."""
    return set(re.findall(r"#/components/schemas/(\w+)", json.dumps(node)))


def test_each_integer_of_a_request_is_tried_here():
    assert integers_of_requests() == set(FIELDS)


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
async def test_an_integer_may_be_written_with_a_zero_fraction(on_memory: Running, field):
    method, path, body = FIELDS[field]
    await on_memory.new_job(id="a")
    answer = await on_memory.client.request(method, path, json=with_number(body, 17.0))
    assert b"17.0" in answer.request.content
    assert answer.is_success, answer.text


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
@pytest.mark.parametrize("number", [17.5, 1e300, True, "17"])
async def test_what_is_no_whole_number_or_too_large_is_refused(on_memory: Running, field, number):
    method, path, body = FIELDS[field]
    answer = await on_memory.client.request(method, path, json=with_number(body, number))
    assert answer.status_code == 422
    (place,) = pointers(answer)
    assert place.endswith(f"/{field[1]}")


async def test_it_counts_and_is_shown_as_a_whole_number(on_memory: Running):
    body = {**JOB, "max_attempts": 17.0, "retry": {"max_attempts": 3.0}, "data": {"n": 17.0}}
    answer = await on_memory.post(body)
    assert '"max_attempts":17,' in answer.text
    assert '"data":{"n":17.0}' in answer.text, "what is not ours to read stays as it was sent"
    for _ in range(3):
        await on_memory.new_job("mail")
    claimed = await on_memory.client.post("/worker/claim", json={"worker_id": "w", "limit": 2.0})
    assert len(claimed.json()["jobs"]) == 2


async def test_a_payload_schema_sees_it_as_json_schema_does(on_memory: Running):
    schema = {"properties": {"n": {"type": "integer"}}}
    assert (await on_memory.client.put("/job-types/mail", json={"schema": schema})).is_success
    assert (await on_memory.post({**JOB, "data": {"n": 17.0}})).status_code == 201
    assert pointers(await on_memory.post({**JOB, "data": {"n": 17.5}})) == ["#/data/n"]
