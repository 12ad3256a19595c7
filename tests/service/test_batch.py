"""POST /jobs/batch."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from jdobb_async_queue import JobContext, JobRouter
from jdobb_service.keys import new_key
from tests.support.serving import JSON, Running, code_of, places, pointers, serving

MEBIBYTE = 2**20


async def _post(service: Running, *jobs: Any, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.client.post("/jobs/batch", json={"jobs": list(jobs)}, headers=named)


def _a(**fields: Any) -> dict[str, Any]:
    return {"job_type": "a", **fields}


HELD = _a(id="held", data={"n": 1}, unique_key="u")
REJECTED = _a(unique_key="k", on_conflict="reject")


async def test_a_batch_is_stored_in_order(service: Running):
    answer = await _post(service, _a(data={"n": 1}), _a(priority="high"), {"job_type": "b", "id": "mine"})
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [(job["job_type"], job["priority"]) for job in items] == [
        ("a", "normal"),
        ("a", "high"),
        ("b", "normal"),
    ]
    assert (items[0]["data"], items[2]["id"]) == ({"n": 1}, "mine")
    for job in items:
        assert (await service.client.get(f"/jobs/{job['id']}")).json() == job
        assert "lease_token" not in job


async def test_an_empty_batch_stores_nothing(on_memory: Running):
    answer = await _post(on_memory)
    assert (answer.status_code, answer.json()) == (201, {"items": []})


async def test_a_thousand_jobs_are_taken_and_one_more_is_not(service: Running):
    fits = await _post(service, *[_a(data={"n": n}) for n in range(1000)])
    assert fits.status_code == 201
    assert [job["data"]["n"] for job in fits.json()["items"]] == list(range(1000))
    assert await service.queue.counts() == {"a": {"pending": 1000}}
    answer = await _post(service, *[_a()] * 1001)
    assert pointers(answer) == ["#/jobs"]
    assert await service.queue.counts() == {"a": {"pending": 1000}}


async def test_repeating_a_batch_of_named_jobs_stores_nothing_new(service: Running):
    jobs = [_a(id="x", data={"n": 1}), _a(id="y")]
    first = await _post(service, *jobs)
    again = await _post(service, *jobs)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_a_later_job_meets_an_earlier_one(service: Running):
    answer = await _post(service, _a(unique_key="k"), _a(unique_key="k"))
    first, second = answer.json()["items"]
    assert first["id"] == second["id"]


@pytest.mark.parametrize(
    ("last", "status", "code"),
    [
        (_a(id="taken", data={"other": True}), 409, "job-exists"),
        (_a(unique_key="held", on_conflict="reject"), 409, "duplicate-job"),
    ],
)
async def test_a_conflict_stores_nothing_of_the_batch(
    service: Running, last: dict[str, Any], status: int, code: str
):
    job_id = await service.new_job("a", id="taken", unique_key="held")
    answer = await _post(service, _a(), last)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert answer.json()["job_id"] == job_id
    assert places(answer) == ["#/jobs/1/id" if code == "job-exists" else "#/jobs/1/unique_key"]
    assert await service.queue.counts() == {"a": {"pending": 1}}


@pytest.mark.parametrize(
    ("jobs", "place"),
    [
        ([_a(id="x"), _a(id="x"), _a(id="x", data={"n": 1})], "#/jobs/2/id"),
        ([_a(id="held", data={"n": 1}), _a(id="held")], "#/jobs/1/id"),
        ([_a(id="held", data={"n": 1}), {"job_type": "b", "id": "held", "data": {"n": 1}}], "#/jobs/1/id"),
        ([_a(unique_key="k"), _a(unique_key="k"), REJECTED], "#/jobs/2/unique_key"),
        ([REJECTED, {**REJECTED, "job_type": "b"}, REJECTED], "#/jobs/2/unique_key"),
        ([_a(unique_key="other"), {**REJECTED, "unique_key": "other"}], "#/jobs/1/unique_key"),
        (
            [
                {**HELD, "on_conflict": "reject"},
                _a(unique_key="u"),
                _a(unique_key="u", on_conflict="reject"),
            ],
            "#/jobs/2/unique_key",
        ),
    ],
)
async def test_a_conflict_points_at_the_job_that_met_it(service: Running, jobs: list[Any], place: str):
    assert (await _post(service, HELD)).status_code == 201
    answer = await _post(service, *jobs)
    assert (answer.status_code, places(answer)) == (409, [place])
    assert answer.json().get("job_id") in {"held", "x", None}, "what was not stored has no id of ours"


async def test_a_full_queue_takes_nothing_of_the_batch(backend_url: str):
    async with serving(backend_url=backend_url, max_pending=2) as service:
        answer = await _post(service, _a(), _a(), _a())
        assert (answer.status_code, code_of(answer)) == (429, "queue-full")
        assert int(answer.headers["retry-after"]) >= 1
        assert places(answer) == ["#/jobs/0/job_type"]
        assert await service.queue.counts() == {}


def _with(field: str, text: str) -> bytes:
    return f'{{"jobs": [{{"job_type": "a"}}, {{"job_type": "a", "{field}": {text}}}]}}'.encode()


BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "malformed-json"),
    (b"{", 400, "malformed-json"),
    (b'{"jobs": [{"job_type": "\xff"}]}', 400, "malformed-json"),
    (b"[]", 422, "#"),
    (b"{}", 422, "#/jobs"),
    (b'{"jobs": null}', 422, "#/jobs"),
    (b'{"jobs": {"job_type": "a"}}', 422, "#/jobs"),
    (b'{"jobs": [1]}', 422, "#/jobs/0"),
    (b'{"jobs": [], "atomic": true}', 422, "#/atomic"),
    (b'{"jobs": [], "jobs": []}', 422, "#/jobs"),
    (_with("job_type", '"b"'), 422, "#/jobs/1/job_type"),
    (_with("quue", '"x"'), 422, "#/jobs/1/quue"),
    (_with("id", '"a b"'), 422, "#/jobs/1/id"),
    (_with("ttl", "-1"), 422, "#/jobs/1/ttl"),
    (_with("retry", '{"bases": 1}'), 422, "#/jobs/1/retry/bases"),
    (_with("unique_key", '"a b"'), 422, "#/jobs/1/unique_key"),
    (_with("data", '{"x": NaN}'), 422, "#"),
    (_with("data", '{"x": [1, 1e400]}'), 422, "#/jobs/1/data/x/1"),
    (_with("data", f'{{"x": {2**64}}}'), 422, "#/jobs/1/data/x"),
    (_with("data", r'{"x": "\ud800"}'), 422, "#/jobs/1/data/x"),
    (_with("metadata", f'{{"x": {2**64}}}'), 422, "#/jobs/1/metadata/x"),
    (_with("data", '{"a": ' * 64 + "{}" + "}" * 64), 422, "#/jobs/1/data"),
    (_with("data", '{"a": ' * 900 + "1" + "}" * 900), 422, "#"),
    (_with("data", "null"), 422, "#/jobs/1/data"),
    (b'{"jobs": ' + b"[" * 100_000, 422, "#"),
]


async def test_what_is_wrong_is_pointed_at_and_nothing_is_stored(on_memory: Running):
    for body, status, expected in BODIES:
        answer = await on_memory.client.post("/jobs/batch", content=body, headers=JSON)
        told = (answer.status_code, pointers(answer)[0] if status == 422 else code_of(answer))
        assert told == (status, expected), body[:120]
    assert await on_memory.queue.counts() == {}


async def test_every_wrong_job_is_pointed_at(on_memory: Running):
    answer = await _post(on_memory, {"job_type": ""}, _a(), _a(ttl=0))
    assert pointers(answer) == ["#/jobs/0/job_type", "#/jobs/2/ttl"]


async def test_data_may_be_nested_as_deep_as_in_a_single_job(on_memory: Running):
    data = {"deep": json.loads("[" * 63 + "]" * 63)}
    assert (await on_memory.post(_a(data=data))).status_code == 201
    answer = await _post(on_memory, _a(data=data))
    assert (answer.status_code, answer.json()["items"][0]["data"]) == (201, data)


async def _chunked(body: bytes):
    for start in range(0, len(body), MEBIBYTE):
        yield body[start : start + MEBIBYTE]


async def test_a_batch_may_have_8_mib_and_other_bodies_may_not(service: Running):
    jobs = b'{"jobs": [{"job_type": "a"}]}'
    fits = jobs + b" " * (8 * MEBIBYTE - len(jobs))
    for content in (fits, _chunked(fits)):
        answer = await service.client.post("/jobs/batch", content=content, headers=JSON)
        assert answer.status_code == 201, answer.text
    for content in (fits + b" ", _chunked(fits + b" ")):
        answer = await service.client.post("/jobs/batch", content=content, headers=JSON)
        assert (answer.status_code, code_of(answer)) == (413, "payload-too-large")
        assert answer.json()["limit"] == 8 * MEBIBYTE
    for path in ("/jobs", "/jobs/batch/cancel", "/jobs/bulk"):
        answer = await service.client.post(path, content=b" " * (2 * MEBIBYTE), headers=JSON)
        assert (answer.status_code, answer.json()["limit"]) == (413, MEBIBYTE + 65_536)


async def test_large_batches_are_stored_whole(service: Running):
    jobs = [_a(data={"text": "x" * 900_000}) for _ in range(8)]
    answer = await _post(service, *jobs)
    assert answer.status_code == 201
    assert [job["data"] for job in answer.json()["items"]] == [job["data"] for job in jobs]


async def test_a_value_over_its_limit_is_pointed_at(backend_url: str):
    async with serving(backend_url=backend_url, max_payload_bytes=1000) as service:
        answer = await _post(service, _a(), _a(metadata={"text": "x" * 1000}))
        assert (answer.status_code, code_of(answer)) == (413, "payload-too-large")
        assert answer.json()["errors"][0]["pointer"] == "#/jobs/1/metadata"
        assert answer.json()["limit"] == 1000
        assert await service.queue.counts() == {}


async def test_only_plain_json_is_taken(on_memory: Running):
    answer = await on_memory.client.post("/jobs/batch", content=b'{"jobs": []}')
    assert (answer.status_code, code_of(answer)) == (415, "unsupported-media-type")


async def test_an_idempotency_key_is_refused_instead_of_ignored(on_memory: Running):
    answer = await _post(on_memory, _a(), idempotency_key="k")
    assert (answer.status_code, code_of(answer)) == (400, "invalid-idempotency-key")
    assert "ids" in answer.json()["detail"]
    assert await on_memory.queue.counts() == {}


class Greeting(BaseModel):
    name: str


async def _nothing(ctx: JobContext) -> None:
    del ctx


async def test_every_job_is_checked_as_a_single_one_would_be():
    router = JobRouter()
    router.register_handler("greet", _nothing, data_model=Greeting)
    async with serving([router], workers=False, closed_job_types=True) as service:
        good = {"job_type": "greet", "data": {"name": "Ida"}}
        wrong = await _post(service, good, {"job_type": "greet", "data": {"name": 5}})
        unknown = await _post(service, good, good, {"job_type": "unheard-of"})
        assert await service.queue.counts() == {}
        assert (await _post(service, good)).status_code == 201
    assert pointers(wrong) == ["#/jobs/1/data/name"]
    assert (unknown.status_code, code_of(unknown)) == (422, "unknown-job-type")
    assert unknown.json()["errors"][0]["pointer"] == "#/jobs/2/job_type"


async def test_a_key_enqueues_only_its_own_job_types():
    key, secret = new_key("shop", ("enqueue",), ("billing.*",))
    async with serving(api_keys=(key,)) as service:
        caller = f"Bearer {secret}"
        mine = {"job_type": "billing.invoice", "data": {"x": 1}}
        refused = await _post(service, mine, _a(), authorization=caller)
        assert (refused.status_code, code_of(refused)) == (403, "insufficient-scope")
        assert [place["pointer"] for place in refused.json()["errors"]] == ["#/jobs/1/job_type"]
        assert await service.queue.counts() == {}
        made = await _post(service, mine, authorization=caller)
        assert made.status_code == 201
        assert made.json()["items"][0]["data"] == {}  # it may not read


async def test_request_and_trace_ids_stay_with_every_job(service: Running):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = await _post(service, _a(), _a(), x_request_id="my-request.1", traceparent=trace)
    said = [(job["request_id"], job["traceparent"]) for job in answer.json()["items"]]
    assert said == [("my-request.1", trace)] * 2


async def test_batches_at_once_do_not_meet(service: Running):
    answers = await asyncio.gather(*(_post(service, *[_a()] * 20) for _ in range(10)))
    ids = {job["id"] for answer in answers for job in answer.json()["items"]}
    assert len(ids) == 200
