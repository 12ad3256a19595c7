"""GET /jobs/{id}, cancel and retry."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import broadcaster
from tests.support.serving import Running, code_of, pointers, serving
from tests.support.waiting import WITHIN, eventually


async def test_an_unchanged_job_is_not_sent_again(service: Running):
    job_id = await service.new_job()
    etag = (await service.client.get(f"/jobs/{job_id}")).headers["etag"]
    same = await service.client.get(f"/jobs/{job_id}", headers={"if-none-match": f'"v9", W/{etag}'})
    await service.queue.update(job_id, progress=0.5)
    other = await service.client.get(f"/jobs/{job_id}", headers={"if-none-match": etag})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert (other.status_code, other.json()["progress"]) == (200, 0.5)
    assert other.headers["etag"] != etag


async def test_a_waiting_look_ends_with_the_job(service: Running):
    job_id = await service.new_job()
    looks = [
        asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=20")),
        asyncio.create_task(service.client.get(f"/jobs/{job_id}", headers={"prefer": "wait=20"})),
    ]
    await eventually(lambda: service.state.waits.taken == 2)
    await service.queue.update(job_id, progress=0.5)  # a change does not end it
    await service.queue.complete(job_id, {"n": 1})
    for answer in await asyncio.gather(*looks):
        assert (answer.status_code, answer.json()["results"]) == (200, {"n": 1})
        assert answer.headers["preference-applied"] == "wait=20"
        assert "retry-after" not in answer.headers
    assert service.state.waits.taken == 0


async def test_a_waiting_look_with_an_etag_ends_with_the_next_change(service: Running):
    job_id = await service.new_job()
    etag = (await service.client.get(f"/jobs/{job_id}")).headers["etag"]
    look = asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=20", headers={"if-none-match": etag}))
    await eventually(lambda: service.state.waits.taken == 1)
    await service.state.broadcaster.send(job_id, message="custom")  # changes nothing that a look shows
    await service.queue.update(job_id, progress=0.25)
    answer = await look
    assert (answer.status_code, answer.json()["progress"]) == (200, 0.25)


async def test_a_waiting_look_with_an_etag_ends_when_the_job_is_replaced(
    service: Running, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(broadcaster, "_LOOK_AGAIN", 0.05)  # no update tells of it
    job_id = await service.new_job(unique_key="k")
    etag = (await service.client.get(f"/jobs/{job_id}")).headers["etag"]
    look = asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=20", headers={"if-none-match": etag}))
    await eventually(lambda: service.state.waits.taken == 1)
    await service.post({"job_type": "test", "unique_key": "k", "on_conflict": "replace", "data": {"n": 2}})
    async with asyncio.timeout(WITHIN):
        answer = await look
    assert (answer.status_code, answer.json()["data"]) == (200, {"n": 2})


async def test_a_waiting_look_ends_unchanged_when_the_time_is_up(service: Running):
    job_id = await service.new_job()
    etag = (await service.client.get(f"/jobs/{job_id}")).headers["etag"]
    answer = await service.client.get(f"/jobs/{job_id}?wait=0.05", headers={"if-none-match": etag})
    assert (answer.status_code, answer.headers["preference-applied"]) == (304, "wait=0.05")
    answer = await service.client.get(f"/jobs/{job_id}?wait=0.05")
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")


async def test_a_look_at_a_terminal_job_does_not_wait(backend_url: str):
    async with serving(backend_url=backend_url, max_streams=1) as service:
        job_id, other = await service.new_job(), await service.new_job()
        await service.queue.cancel(job_id)
        first = asyncio.create_task(service.client.get(f"/jobs/{other}?wait=20"))
        await eventually(lambda: service.state.waits.taken == 1)
        answer = await service.client.get(f"/jobs/{job_id}?wait=20")  # to wait it would need a place
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        await service.queue.cancel(other)
        await first


async def test_a_client_that_leaves_does_not_keep_waiting(service: Running):
    job_id = await service.new_job()
    look = asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=20"))
    await eventually(lambda: service.state.waits.taken == 1)
    look.cancel()
    await eventually(lambda: service.state.waits.taken == 0)


async def test_a_client_that_leaves_after_posting_does_not_keep_waiting(service: Running):
    posting = asyncio.create_task(service.post({"job_type": "a"}, prefer="wait=20"))
    await eventually(lambda: service.state.waits.taken == 1)
    posting.cancel()
    await eventually(lambda: service.state.waits.taken == 0)
    assert await service.queue.counts() == {"a": {"pending": 1}}


async def test_waiting_ends_when_the_service_closes(service: Running):
    job_id = await service.new_job()
    etag = (await service.client.get(f"/jobs/{job_id}")).headers["etag"]
    calls = [
        asyncio.create_task(service.post({"job_type": "a"}, prefer="wait=20")),
        asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=20")),
        asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=20", headers={"if-none-match": etag})),
    ]
    await eventually(lambda: service.state.waits.taken == 3)
    service.state.closing.set()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [201, 200, 304]


async def test_waiting_beyond_the_places_is_refused_until_one_is_free():
    async with serving(max_streams=1) as service:
        job_id = await service.new_job()
        first = asyncio.create_task(service.client.get(f"/jobs/{job_id}?wait=20"))
        await eventually(lambda: service.state.waits.taken == 1)
        for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/result"):
            second = await service.client.get(f"{path}?wait=20")
            assert (second.status_code, code_of(second)) == (503, "too-many-waits")
            assert int(second.headers["retry-after"]) >= 1
        assert (await service.client.get(f"/jobs/{job_id}")).json()["status"] == "pending"
        posted = await service.post({"job_type": "a"}, prefer="wait=20")  # it is stored: that is said at once
        assert (posted.status_code, posted.json()["status"]) == (201, "pending")
        await service.queue.cancel(job_id)
        assert (await first).json()["status"] == "cancelled"
        assert (await service.client.get(f"/jobs/{job_id}?wait=20")).json()["status"] == "cancelled"


@pytest.mark.parametrize("wait", ["abc", "-1", "1e3", "nan", "", "9" * 30])
async def test_a_wait_that_is_no_number_is_refused(on_memory: Running, wait: str):
    job_id = await on_memory.new_job()
    assert pointers(await on_memory.client.get(f"/jobs/{job_id}", params={"wait": wait})) == ["?wait"]


async def test_a_preference_that_is_none_is_ignored(on_memory: Running):
    job_id = await on_memory.new_job()
    answer = await on_memory.client.get(f"/jobs/{job_id}", headers={"prefer": "wait=soon, handling=lenient"})
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    "job_id",
    ["unknown", "%2e%2e", "a%2fb", "%00", "%0d%0aset-cookie:a", "%F0%9F%8E%89", "x" * 129, "x" * 5000, "a b"],
)
async def test_an_id_that_no_job_can_have_is_not_found(on_memory: Running, job_id: str):
    for method, path in [("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("GET", "/events")]:
        answer = await on_memory.client.request(method, f"/jobs/{job_id}{path}")
        assert answer.status_code == 404
        assert code_of(answer) in {"job-not-found", "not-found"}


async def test_head_is_get_without_a_body(service: Running):
    job_id = await service.new_job()
    answer = await service.client.head(f"/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == '"v1"'


async def test_cancelling_is_final_and_may_be_repeated(service: Running):
    job_id = await service.new_job()
    first = await service.client.post(f"/jobs/{job_id}/cancel", json={"reason": "not needed"})
    again = await service.client.post(f"/jobs/{job_id}/cancel")
    assert (first.status_code, first.json()["status"], first.json()["error"]) == (
        200,
        "cancelled",
        "not needed",
    )
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_running_job_is_cancelled_at_once(service: Running):
    job_id = await service.new_job()
    job = await service.queue.claim()
    answer = await service.client.post(f"/jobs/{job_id}/cancel")
    assert answer.json()["status"] == "cancelled"
    assert not await service.queue.complete(job_id, lease_token=job.lease_token)


async def test_a_finished_job_cannot_be_cancelled(service: Running):
    job_id = await service.new_job()
    await service.queue.complete(job_id)
    answer = await service.client.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, code_of(answer)) == (409, "job-terminal")


@pytest.mark.parametrize(
    ("body", "pointer"), [({"reason": 5}, "#/reason"), ({"why": "x"}, "#/why"), ([], "#")]
)
async def test_a_cancellation_is_checked(on_memory: Running, body: object, pointer: str):
    job_id = await on_memory.new_job()
    assert pointers(await on_memory.client.post(f"/jobs/{job_id}/cancel", json=body)) == [pointer]
    assert (await on_memory.queue.get(job_id)).status == "pending"


async def test_retrying_makes_a_failed_job_ready(service: Running):
    job_id = await service.new_job()
    await service.queue.fail(job_id, "broken")
    answer = await service.client.post(f"/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (200, "pending", None)
    assert [error["message"] for error in answer.json()["errors"]] == ["broken"]


async def test_only_failed_and_cancelled_jobs_are_retried(service: Running):
    pending, complete = await service.new_job(), await service.new_job()
    await service.queue.complete(complete)
    for job_id in (pending, complete):
        answer = await service.client.post(f"/jobs/{job_id}/retry")
        assert (answer.status_code, code_of(answer)) == (409, "invalid-transition")


async def test_a_retry_is_refused_while_another_job_holds_its_unique_key(service: Running):
    first = await service.new_job(unique_key="k")
    await service.queue.cancel(first)
    await service.new_job(unique_key="k")
    answer = await service.client.post(f"/jobs/{first}/retry")
    assert (answer.status_code, code_of(answer)) == (409, "duplicate-job")
