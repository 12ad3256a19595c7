"""Job types over HTTP: settings, pauses, and payloads that their schemas refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from jdobb_async_queue import JobContext, JobRouter, Worker
from jdobb_service.keys import new_key
from jdobb_service.payload_schema import MAX_BYTES
from tests.support.serving import JSON, Running, code_of, pointers, serving

FIELDS = {
    "job_type", "retry", "timeout", "max_lost", "max_pending", "schema", "paused", "pause_reason", "pause_until",  # noqa: E501 - one line of names
    "ready", "running", "delayed", "oldest_ready_age", "counts",
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "n": {"type": "integer", "minimum": 1}},
    "required": ["to"],
    "additionalProperties": False,
}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


class Mail(BaseModel):
    to: str
    copies: int = 1


async def put(service: Running, job_type: str, **settings: Any) -> dict[str, Any]:
    answer = await service.client.put(f"/job-types/{job_type}", json=settings)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(service: Running) -> dict[str, dict[str, Any]]:
    answer = await service.client.get("/job-types")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return {item["job_type"]: item for item in answer.json()["items"]}


async def test_there_are_none_at_first(service: Running):
    assert await listed(service) == {}


async def test_a_type_with_jobs_is_listed_with_its_figures(service: Running):
    for fields in ({}, {}, {"delay": 100}, {}):
        await service.new_job("mail", **fields)
    job = await service.queue.claim(["mail"])
    await service.queue.complete(job.id, lease_token=job.lease_token)
    await service.queue.claim(["mail"])
    await service.new_job("a")
    found = await listed(service)
    assert list(found) == ["a", "mail"]
    mail = found["mail"]
    assert set(mail) == FIELDS
    assert (mail["ready"], mail["running"], mail["delayed"]) == (1, 1, 1)
    assert mail["counts"] == {"pending": 2, "processing": 1, "complete": 1, "failed": 0, "cancelled": 0}
    assert mail["oldest_ready_age"] >= 0
    assert mail["retry"]["max_attempts"] == 1
    assert (mail["paused"], mail["schema"], mail["max_lost"]) == (False, None, 3)


async def test_settings_are_put_as_a_whole_and_reach_jobs_that_wait(service: Running):
    job_id = await service.new_job("mail")
    settings = {"retry": {"max_attempts": 4, "give_up_on": ["ValueError"]}, "timeout": 5, "max_lost": 2}
    answered = await put(service, "mail", **settings, max_pending=7, schema=SCHEMA)
    assert set(answered) == FIELDS
    assert (answered["timeout"], answered["max_lost"], answered["max_pending"]) == (5, 2, 7)
    assert (answered["retry"]["max_attempts"], answered["retry"]["base"]) == (4, 1.0)
    assert answered["retry"]["give_up_on"] == ["ValueError"]
    assert answered["schema"] == SCHEMA
    job = (await service.client.get(f"/jobs/{job_id}")).json()
    assert (job["max_attempts"], job["timeout"], job["max_lost"]) == (4, 5, 2)
    assert (await listed(service))["mail"]["max_pending"] == 7

    again = await put(service, "mail", timeout=None)
    assert (again["timeout"], again["max_lost"], again["max_pending"], again["schema"]) == (
        None,
        3,
        None,
        None,
    )


async def test_a_type_that_is_full_takes_no_more(service: Running):
    await put(service, "mail", max_pending=1)
    await service.new_job("mail")
    answer = await service.post({"job_type": "mail"})
    assert (answer.status_code, code_of(answer)) == (429, "queue-full")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"retries": 1}, "#/retries"),
        ({"retry": {"max_attempts": 0}}, "#/retry/max_attempts"),
        ({"retry": 5}, "#/retry"),
        ({"timeout": 0}, "#/timeout"),
        ({"timeout": "5"}, "#/timeout"),
        ({"max_lost": 0}, "#/max_lost"),
        ({"max_pending": -1}, "#/max_pending"),
        ({"payload_schema": {}}, "#/payload_schema"),
        ([], "#"),
    ],
)
async def test_settings_that_are_none_are_refused(on_memory: Running, body: Any, pointer: str):
    assert pointers(await on_memory.client.put("/job-types/mail", json=body)) == [pointer]
    assert await listed(on_memory) == {}


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (True, "#/schema"),
        ([], "#/schema"),
        ({"type": "strang"}, "#/schema/type"),
        ({"properties": {"a": {"minimum": "1"}}}, "#/schema/properties/a/minimum"),
        ({"properties": {"a": {"pattern": "("}}}, "#/schema/properties/a/pattern"),
        ({"$schema": "https://example.com/of-my-own"}, "#/schema/$schema"),
        ({"$schema": 5}, "#/schema/$schema"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "#/schema/$ref"),
        ({"$ref": "file:///etc/passwd"}, "#/schema/$ref"),
        ({"$schema": DRAFT_7, "items": [{"a": 1}], "not": {"$ref": "x.json"}}, "#/schema/not/$ref"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "#/schema/properties/a/$ref"),
        ({"properties": {"a": {"$dynamicRef": "#none"}}}, "#/schema/properties/a/$dynamicRef"),
        ({"properties": {"a": {"$ref": "#/default"}}, "default": {"type": 5}}, "#/schema/default/type"),
        ({"$defs": {"a": {"$schema": DRAFT_7}}}, "#/schema/$defs/a/$schema"),
        ({"$ref": "#"}, "#/schema"),
        ({"description": "x" * MAX_BYTES}, "#/schema"),
        ({"const": 2**64}, "#/schema/const"),
    ],
)  # fmt: skip
async def test_a_schema_that_cannot_be_used_is_refused(on_memory: Running, schema: Any, pointer: str):
    answer = await on_memory.client.put("/job-types/mail", json={"schema": schema})
    assert [place.replace("%24", "$") for place in pointers(answer)] == [pointer]
    assert await listed(on_memory) == {}


async def test_references_of_a_schema_are_not_fetched(on_memory: Running):
    asked = asyncio.Event()
    server = await asyncio.start_server(lambda *_: asked.set(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        schema = {"properties": {"a": {"$ref": f"http://127.0.0.1:{port}/a.json"}}}
        assert (await on_memory.client.put("/job-types/mail", json={"schema": schema})).status_code == 422
        await on_memory.queue.set_job_type("mail", schema=schema)
        assert (await on_memory.post({"job_type": "mail", "data": {"a": 1}})).status_code == 201
    assert not asked.is_set()


async def test_a_schema_that_multiplies_itself_is_given_up(on_memory: Running):
    twice = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 40)}
    schema = {"$defs": {"a0": {}, **twice}, "$ref": "#/$defs/a39"}
    answer = await on_memory.client.put("/job-types/mail", json={"schema": schema})
    assert pointers(answer) == ["#/schema"]


async def test_a_payload_that_does_not_fit_the_operators_schema_is_refused_at_once(service: Running):
    await service.new_job("mail", data={"anything": 1})
    await put(service, "mail", schema=SCHEMA)
    wrong = await service.post({"job_type": "mail", "data": {"n": 0, "s3cr3t": "v4lue"}})
    assert pointers(wrong) == ["#/data/n", "#/data/to", "#/data/s3cr3t"]
    assert "v4lue" not in wrong.text
    assert (await service.post({"job_type": "mail", "data": {"to": "ada", "n": 1}})).status_code == 201
    assert (await service.post({"job_type": "other", "data": {"n": 0}})).status_code == 201
    await put(service, "mail")
    assert (await service.post({"job_type": "mail", "data": {"n": 0}})).status_code == 201


@pytest.mark.parametrize(
    ("schema", "data", "detail"),
    [
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": 1}, "must be of the type string or null"),
        ({"properties": {"a": {"enum": ["v4lue"]}}}, {"a": "s3cr3t"}, "is none of the values"),
        ({"properties": {"a": {"const": 7}}}, {"a": "s3cr3t"}, "is not the one value"),
        ({"properties": {"a": {"maxLength": 2}}}, {"a": "s3cr3t"}, "at most 2 characters"),
        ({"properties": {"a": {"pattern": "^x"}}}, {"a": "s3cr3t"}, "does not match the pattern"),
        ({"properties": {"a": {"anyOf": [{"type": "null"}]}}}, {"a": "s3cr3t"}, "fits none"),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [{"s3cr3t": 1}, {"s3cr3t": 1.0}]}, "equal"),
        ({"properties": {"a": {"contains": {"const": 1}}}}, {"a": ["s3cr3t"]}, "`contains`"),
        ({"$defs": {"b": {"$id": "x", "type": "null"}}, "properties": {"a": {"$ref": "x"}}}, {"a": 1},
         "must be of the type null"),
        ({"$schema": "http://json-schema.org/draft-04/schema#",
          "properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}}, {"a": 1}, "must be at least 1"),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_is_wanted_and_no_value_of_the_payload(
    on_memory: Running, schema: Any, data: Any, detail: str
):
    await put(on_memory, "mail", schema=schema)
    answer = await on_memory.post({"job_type": "mail", "data": data})
    assert pointers(answer) == ["#/data/a"]
    assert detail in answer.json()["errors"][0]["detail"]
    assert "s3cr3t" not in answer.text


async def test_equal_is_what_json_calls_equal(on_memory: Running):
    await put(on_memory, "mail", schema={"properties": {"a": {"uniqueItems": True}}})
    items = [1, True, [1], [True], {"a": 1}, {"a": [1]}, "1", None, False, 0]
    assert (await on_memory.post({"job_type": "mail", "data": {"a": items}})).status_code == 201


async def test_a_large_payload_is_checked_to_its_end(on_memory: Running):
    await put(on_memory, "mail", schema={"properties": {"a": {"items": {"type": "integer"}}}})
    fits = await on_memory.post({"job_type": "mail", "data": {"a": [1] * 20_000}})
    wrong = await on_memory.post({"job_type": "mail", "data": {"a": [1] * 20_000 + ["x"]}})
    assert fits.status_code == 201
    assert pointers(wrong) == ["#/data/a/20000"]


async def test_a_payload_whose_check_does_not_end_is_refused(on_memory: Running):
    twice = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 40)}
    schema = {"$defs": {"a0": {}, **twice}, "properties": {"x": {"$ref": "#/$defs/a39"}}}
    await put(on_memory, "mail", schema=schema)
    assert pointers(await on_memory.post({"job_type": "mail", "data": {"x": 1}})) == ["#/data"]


async def _nothing(ctx: JobContext) -> None:
    del ctx


def router_of(job_type: str, data_model: type[BaseModel] | None) -> JobRouter:
    router = JobRouter()
    router.register_handler(job_type, _nothing, data_model=data_model)
    return router


@asynccontextmanager
async def published(service: Running, job_type: str, data_model: type[BaseModel]) -> AsyncIterator[None]:
    """Let a worker elsewhere publish its handler, and end it."""
    worker = Worker(service.queue)
    worker.include_router(router_of(job_type, data_model))
    running = asyncio.create_task(worker.run())
    await service.queue.wait(await service.queue.enqueue(job_type, {"to": "ada"}), 10)
    yield
    await worker.stop()
    await running


async def test_a_process_without_the_model_refuses_by_the_published_schema(service: Running):
    async with published(service, "mail", Mail):
        wrong = await service.post({"job_type": "mail", "data": {"copies": "many"}})
        assert sorted(pointers(wrong)) == ["#/data/copies", "#/data/to"]
        assert (await service.post({"job_type": "mail", "data": {"to": "ada"}})).status_code == 201
    assert (await listed(service))["mail"]["schema"] == Mail.model_json_schema()


async def test_the_published_schema_wins_over_the_operators(service: Running):
    await put(service, "mail", schema={"required": ["subject"]})
    assert pointers(await service.post({"job_type": "mail"})) == ["#/data/subject"]
    async with published(service, "mail", Mail):
        service.state.job_types.changed()
        assert pointers(await service.post({"job_type": "mail"})) == ["#/data/to"]
        assert (await listed(service))["mail"]["schema"] == Mail.model_json_schema()


async def test_the_model_that_is_loaded_here_wins_over_what_is_stored(backend_url: str):
    async with serving([router_of("mail", Mail)], workers=False, backend_url=backend_url) as service:
        await put(service, "mail", schema={"required": ["subject"]})
        coerced = await service.post({"job_type": "mail", "data": {"to": "ada", "copies": "2"}})
        assert coerced.status_code == 201
        assert pointers(await service.post({"job_type": "mail"})) == ["#/data/to"]
        assert (await listed(service))["mail"]["schema"] == Mail.model_json_schema()


async def test_a_handler_without_a_model_leaves_it_to_the_operators_schema():
    async with serving([router_of("mail", None)], workers=False) as service:
        await put(service, "mail", schema=SCHEMA)
        assert pointers(await service.post({"job_type": "mail"})) == ["#/data/to"]


async def test_a_stored_schema_that_cannot_be_used_is_left_to_the_worker(on_memory: Running):
    await on_memory.queue.set_job_type("mail", schema={"type": "strang"})
    assert (await on_memory.post({"job_type": "mail"})).status_code == 201


async def test_what_the_first_requests_ask_at_once_is_answered_by_what_is_stored(backend_url: str):
    async with serving(backend_url=backend_url, closed_job_types=True) as service:
        await service.queue.set_job_type("mail", schema=SCHEMA)
        service.state.job_types.changed()
        body = {"job_type": "mail", "data": {"to": "ada"}}
        answers = await asyncio.gather(*(service.post(body) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [201] * 5


async def test_a_paused_type_is_not_claimed_until_it_is_resumed(service: Running):
    job_id = await service.new_job("mail")
    paused = await service.client.post("/job-types/mail/pause", json={"reason": "server down"})
    assert paused.status_code == 200
    assert set(paused.json()) == FIELDS
    assert (paused.json()["paused"], paused.json()["pause_reason"]) == (True, "server down")
    assert (paused.json()["pause_until"], paused.json()["counts"]["pending"]) == (None, 1)
    assert await service.queue.claim(["mail"]) is None
    assert (await listed(service))["mail"]["paused"] is True
    resumed = await service.client.post("/job-types/mail/resume")
    assert (resumed.json()["paused"], resumed.json()["pause_reason"]) == (False, None)
    assert (await service.queue.claim(["mail"])).id == job_id
    assert (await service.client.post("/job-types/mail/resume")).status_code == 200


async def test_a_pause_creates_the_type_and_may_have_an_end(service: Running):
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    first = await service.client.post("/job-types/mail/pause", json={"until": ends.isoformat()})
    assert datetime.fromisoformat(first.json()["pause_until"]) == ends
    again = await service.client.post("/job-types/mail/pause")
    assert (again.status_code, again.json()["pause_until"]) == (200, None)
    past = await service.client.post("/job-types/mail/pause", json={"until": "2001-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["paused"]) == (200, False)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": 5}, "#/reason"),
        ({"reason": "x" * 1001}, "#/reason"),
        ({"reason": "\ud800"}, "#/reason"),
        ({"until": "tomorrow"}, "#/until"),
        ({"until": 1}, "#/until"),
        ({"till": None}, "#/till"),
        ("x", "#"),
    ],
)
async def test_a_pause_is_checked(on_memory: Running, body: Any, pointer: str):
    answer = await on_memory.client.post(
        "/job-types/mail/pause", content=json.dumps(body).encode(), headers=JSON
    )
    assert pointers(answer) == [pointer]
    assert await listed(on_memory) == {}


async def test_a_type_that_there_is_not_cannot_be_resumed(service: Running):
    answer = await service.client.post("/job-types/mail/resume")
    assert (answer.status_code, code_of(answer)) == (404, "job-type-not-found")
    assert await listed(service) == {}


@pytest.mark.parametrize("name", ["a%20b", "%2e%2e%20", "a%2fb", "x" * 129, "%00", "%F0%9F%8E%89"])
async def test_a_name_that_no_type_can_have_is_not_found(on_memory: Running, name: str):
    for method, path in [("PUT", ""), ("POST", "/pause"), ("POST", "/resume")]:
        answer = await on_memory.client.request(method, f"/job-types/{name}{path}", json={})
        assert answer.status_code == 404
        assert code_of(answer) in {"job-type-not-found", "not-found"}


async def test_a_key_for_some_types_sees_and_changes_no_others():
    key, secret = new_key("ops", ("admin",), ("billing.*",))
    headers = {"authorization": f"Bearer {secret}"}
    async with serving(api_keys=(key,)) as service:
        await service.queue.enqueue("secret")
        await service.queue.enqueue("billing.invoice")
        found = await service.client.get("/job-types", headers=headers)
        assert [item["job_type"] for item in found.json()["items"]] == ["billing.invoice"]
        for method, path in [("PUT", ""), ("POST", "/pause"), ("POST", "/resume")]:
            mine = await service.client.request(
                method, f"/job-types/billing.invoice{path}", json={}, headers=headers
            )
            assert mine.status_code == 200
            for name in ("secret", "unheard-of"):
                answer = await service.client.request(
                    method, f"/job-types/{name}{path}", json={}, headers=headers
                )
                assert (answer.status_code, code_of(answer)) == (403, "insufficient-scope")
        assert await service.queue.claim(["secret"]) is not None
