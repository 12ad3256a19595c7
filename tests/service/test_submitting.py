"""POST /jobs."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from jdobb_async_queue import JobContext, JobRouter, NewJob, Worker
from jdobb_service.idempotency import PATTERN
from tests.support.serving import Running, code_of, pointers, serving
from tests.support.waiting import WITHIN

ECHO = {"job_type": "echo", "data": {"text": "hello"}}


async def test_a_new_job_is_created_and_can_be_looked_up(service: Running):
    answer = await service.post({**ECHO, "priority": "high", "metadata": {"user": "ida"}, "ttl": 60})

    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    assert answer.headers["etag"] == f'"v{job["version"]}"'
    assert answer.headers["retry-after"] == "1"
    assert (job["status"], job["priority"], job["ttl"]) == ("pending", "high", 60)
    assert (job["data"], job["metadata"]) == ({"text": "hello"}, {"user": "ida"})
    assert (await service.client.get(answer.headers["location"])).json() == job


async def test_the_whole_of_a_job_can_be_said(service: Running):
    run_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    answer = await service.post(
        {
            "job_type": "report",
            "id": "report-7",
            "data": {},
            "run_at": run_at.isoformat(),
            "timeout": 5,
            "max_attempts": 4,
            "retry": {"base": 0.5, "jitter": 0},
            "max_lost": 2,
            "unique_key": "only one",
            "unique_until": "started",
            "on_conflict": "reject",
        }
    )
    assert pointers(answer) == ["#/unique_key"]  # visible characters only

    answer = await service.post(
        {
            "job_type": "report",
            "id": "report-7",
            "run_at": run_at.isoformat(),
            "timeout": 5,
            "max_attempts": 4,
            "retry": {"base": 0.5, "jitter": 0},
            "max_lost": 2,
            "unique_key": "only-one",
            "unique_until": "started",
            "on_conflict": "reject",
        }
    )
    job = answer.json()
    assert answer.status_code == 201
    assert (job["id"], job["timeout"], job["max_attempts"], job["max_lost"]) == ("report-7", 5, 4, 2)
    assert datetime.fromisoformat(job["run_at"]) == run_at
    assert answer.headers["retry-after"] == "10"


async def test_a_job_shows_no_lease(service: Running):
    job_id = await service.new_job()
    await service.queue.claim()
    job = (await service.client.get(f"/jobs/{job_id}")).json()
    assert job["status"] == "processing"
    assert not [name for name in job if name.startswith("lease")]


async def test_the_same_id_and_content_is_answered_with_the_job_that_is_there(service: Running):
    first = await service.post({**ECHO, "id": "a"})
    again = await service.post({**ECHO, "id": "a"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_the_same_id_with_other_content_is_a_conflict(service: Running):
    await service.post({**ECHO, "id": "a"})
    answer = await service.post({**ECHO, "id": "a", "data": {"text": "other"}})
    assert (answer.status_code, code_of(answer)) == (409, "job-exists")
    assert answer.json()["job_id"] == "a"


async def test_a_live_unique_key_is_met_as_asked(service: Running):
    first = (await service.post({**ECHO, "unique_key": "k"})).json()
    met = await service.post({**ECHO, "unique_key": "k"})
    refused = await service.post({**ECHO, "unique_key": "k", "on_conflict": "reject"})
    replaced = await service.post(
        {**ECHO, "data": {"text": "new"}, "unique_key": "k", "on_conflict": "replace"}
    )

    assert (met.status_code, met.json()["id"]) == (200, first["id"])
    assert (refused.status_code, code_of(refused)) == (409, "duplicate-job")
    assert refused.json()["job_id"] == first["id"]
    assert (replaced.json()["id"], replaced.json()["data"]) == (first["id"], {"text": "new"})


async def test_repeating_a_key_gives_the_same_job(service: Running):
    first = await service.post(ECHO, idempotency_key="order-1")
    await service.queue.cancel(first.json()["id"])
    again = await service.post({"data": {"text": "hello"}, "job_type": "echo"}, idempotency_key='"order-1"')

    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["status"] == "cancelled"  # the job as it is now


async def test_a_key_with_another_body_is_refused(service: Running):
    await service.post(ECHO, idempotency_key="order-1")
    answer = await service.post({**ECHO, "ttl": 5}, idempotency_key="order-1")
    assert (answer.status_code, code_of(answer)) == (422, "idempotency-key-reused")


async def test_a_key_whose_job_was_removed_says_so(service: Running):
    job_id = (await service.post(ECHO, idempotency_key="order-1")).json()["id"]
    await service.queue.cancel(job_id)
    await service.queue.delete(job_id)
    answer = await service.post(ECHO, idempotency_key="order-1")
    assert (answer.status_code, code_of(answer)) == (409, "job-gone")


async def test_a_refused_body_does_not_use_up_its_key(service: Running):
    assert (await service.post({**ECHO, "ttl": -1}, idempotency_key="k")).status_code == 422
    assert (await service.post(ECHO, idempotency_key="k")).status_code == 201


async def test_fifty_posts_at_once_with_one_key_make_one_job(service: Running):
    answers = await asyncio.gather(*(service.post(ECHO, idempotency_key="once") for _ in range(50)))
    assert [answer.status_code for answer in answers] == [201] * 50
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await service.queue.counts() == {"echo": {"pending": 1}}


async def test_fifty_posts_at_once_without_a_key_make_fifty_jobs(service: Running):
    answers = await asyncio.gather(*(service.post(ECHO) for _ in range(50)))
    assert len({answer.json()["id"] for answer in answers}) == 50


@pytest.mark.parametrize("key", ["", '"', '"a', "a b", "a" * 256, "\x1b[31m", "é", '""', '"a" "b"'])
async def test_a_key_that_is_none_is_refused(on_memory: Running, key: str):
    headers = [("content-type", "application/json"), ("idempotency-key", key.encode("latin-1"))]
    answer = await on_memory.client.post("/jobs", content=b'{"job_type": "a"}', headers=headers)
    assert (answer.status_code, code_of(answer)) in [
        (400, "invalid-idempotency-key"),
        (400, "malformed-request"),
    ]
    assert await on_memory.queue.counts() == {}
    assert re.search(PATTERN, key) is None


@pytest.mark.parametrize("key", ["a", "'a\"", "a" * 255, '"a"', r'"a\"\\b"', "~!"])
async def test_the_document_and_the_service_take_the_same_keys(on_memory: Running, key: str):
    assert (await on_memory.post(ECHO, idempotency_key=key)).status_code == 201
    assert re.search(PATTERN, key)


async def test_two_keys_are_refused(on_memory: Running):
    headers = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = await on_memory.client.post("/jobs", content=b'{"job_type": "a"}', headers=headers)
    assert code_of(answer) == "invalid-idempotency-key"


async def test_a_full_queue_asks_to_come_back(backend_url: str):
    async with serving(backend_url=backend_url, max_pending=1) as service:
        assert (await service.post(ECHO)).status_code == 201
        answer = await service.post(ECHO)
    assert (answer.status_code, code_of(answer)) == (429, "queue-full")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_value_over_its_limit_is_too_large(backend_url: str):
    async with serving(backend_url=backend_url, max_payload_bytes=1000) as service:
        answer = await service.post({"job_type": "a", "data": {"text": "x" * 1000}})
        fits = await service.post({"job_type": "a", "data": {"text": "x" * 900}})
    assert (answer.status_code, code_of(answer)) == (413, "payload-too-large")
    assert answer.json()["errors"][0]["pointer"] == "#/data"
    assert answer.json()["limit"] == 1000
    assert fits.status_code == 201


async def test_waiting_delays_the_same_answer_until_the_job_is_terminal(service: Running):
    posting = asyncio.create_task(service.post(ECHO, prefer="wait=20"))
    job = await service.queue.claim(wait=WITHIN)
    await service.queue.complete(job.id, {"n": 1}, lease_token=job.lease_token)
    answer = await posting
    assert (answer.status_code, answer.json()["status"]) == (201, "complete")
    assert answer.headers["preference-applied"] == "wait=20"
    assert "retry-after" not in answer.headers


async def test_waiting_ends_when_the_time_is_up(service: Running):
    answer = await service.post(ECHO, prefer="respond-async, wait=0")
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert answer.headers["preference-applied"] == "wait=0"


async def test_request_and_trace_ids_stay_with_the_job(service: Running):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = await service.post(ECHO, x_request_id="my-request.1", traceparent=trace)
    assert answer.headers["x-request-id"] == "my-request.1"
    assert (answer.json()["request_id"], answer.json()["traceparent"]) == ("my-request.1", trace)


@pytest.mark.parametrize("given", ["short", "has space in it", "x" * 129, "<script>alert(1)"])
async def test_a_request_id_that_is_none_is_replaced(on_memory: Running, given: str):
    answer = await on_memory.post(ECHO, x_request_id=given, traceparent="00-00-00-00")
    assert answer.headers["x-request-id"] != given
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["traceparent"] is None


class Greeting(BaseModel):
    name: str
    times: int = 1


async def _nothing(ctx: JobContext) -> None:
    del ctx


async def test_a_payload_that_does_not_fit_its_handlers_model_is_refused():
    router = JobRouter()
    router.register_handler("greet", _nothing, data_model=Greeting)
    async with serving([router], workers=False) as service:
        wrong = await service.post({"job_type": "greet", "data": {"times": "many"}})
        right = await service.post({"job_type": "greet", "data": {"name": "Ida"}})
        other = await service.post({"job_type": "unheard-of", "data": {}})
        assert await service.queue.counts() == {"greet": {"pending": 1}, "unheard-of": {"pending": 1}}
    assert pointers(wrong) == ["#/data/name", "#/data/times"]
    assert "many" not in wrong.text
    assert (right.status_code, other.status_code) == (201, 201)


async def test_a_closed_deployment_takes_known_job_types_only(backend_url: str):
    router = JobRouter()
    router.register_handler("known", _nothing)
    async with serving([router], workers=False, closed_job_types=True, backend_url=backend_url) as service:
        answer = await service.post({"job_type": "unheard-of"})
        assert (answer.status_code, code_of(answer)) == (422, "unknown-job-type")
        assert (await service.post({"job_type": "known"})).status_code == 201
    async with serving([router], workers=False, closed_job_types=True, backend_url=backend_url) as service:
        await service.queue.set_job_type("elsewhere", max_lost=1)
        assert (await service.post({"job_type": "elsewhere"})).status_code == 201


async def test_jobs_of_a_type_do_not_make_it_known(backend_url: str):
    async with serving(closed_job_types=True, backend_url=backend_url) as service:
        await service.queue.enqueue("stray")
        answer = await service.post({"job_type": "stray"})
    assert (answer.status_code, code_of(answer)) == (422, "unknown-job-type")


async def test_a_worker_elsewhere_makes_its_job_types_known(backend_url: str):
    async with serving(closed_job_types=True, backend_url=backend_url) as service:
        worker = Worker(service.queue)
        worker.register_handler("elsewhere", _nothing)
        running = asyncio.create_task(worker.run())
        assert await service.queue.wait(await service.queue.enqueue("elsewhere"), 10)
        assert (await service.post({"job_type": "elsewhere"})).status_code == 201
        await worker.stop()
        await running


async def test_handlers_run_beside_the_service(backend_url: str):
    router = JobRouter()

    @router.handler("double")
    async def double(ctx: JobContext) -> dict:
        return {"n": ctx.data["n"] * 2}

    async with serving([router], backend_url=backend_url) as service:
        answer = await service.post({"job_type": "double", "data": {"n": 21}}, prefer="wait=20")
    assert answer.json()["results"] == {"n": 42}


async def test_what_other_callers_enqueue_directly_is_served_too(service: Running):
    job_id = await service.queue.enqueue("a", {"n": 1})
    assert (await service.client.get(f"/jobs/{job_id}")).json()["data"] == {"n": 1}
    await service.queue.submit(NewJob(job_type="a"))
