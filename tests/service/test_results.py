"""GET /jobs/{id}/result."""

from __future__ import annotations

import asyncio

from tests.support.serving import Running, code_of, pointers
from tests.support.waiting import eventually


async def test_the_results_come_alone(service: Running):
    job_id = await service.new_job()
    await service.queue.complete(job_id, {"n": 1, "big": 2**63 - 1})
    answer = await service.client.get(f"/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()) == (200, {"n": 1, "big": 2**63 - 1})
    assert answer.headers["content-type"] == "application/json"


async def test_a_handler_that_returned_nothing_has_null_for_results(service: Running):
    job_id = await service.new_job()
    await service.queue.complete(job_id)
    answer = await service.client.get(f"/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()) == (200, None)


async def test_results_that_are_known_are_not_sent_again(service: Running):
    job_id = await service.new_job()
    path = f"/jobs/{job_id}/result"
    early = await service.client.get(path, headers={"if-none-match": "*"})
    assert (early.status_code, code_of(early)) == (409, "not-finished")
    await service.queue.complete(job_id, {"n": 1})
    first = await service.client.get(path)
    etag = first.headers["etag"]
    assert etag == (await service.client.get(f"/jobs/{job_id}")).headers["etag"]
    for known in (etag, f'"v9", W/{etag}', "*"):
        answer = await service.client.get(path, headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    waited = await service.client.get(f"{path}?wait=20", headers={"if-none-match": etag})
    assert (waited.status_code, waited.headers["preference-applied"]) == (304, "wait=20")
    other = await service.client.get(path, headers={"if-none-match": '"v0"'})
    assert (other.status_code, other.json()) == (200, {"n": 1})


async def test_waiting_for_results_ends_with_the_job(service: Running):
    job_id = await service.new_job()
    looks = [
        asyncio.create_task(service.client.get(f"/jobs/{job_id}/result?wait=20")),
        asyncio.create_task(service.client.get(f"/jobs/{job_id}/result", headers={"prefer": "wait=20"})),
    ]
    await eventually(lambda: service.state.waits.taken == 2)
    await service.queue.complete(job_id, {"n": 1})
    for answer in await asyncio.gather(*looks):
        assert (answer.status_code, answer.json()) == (200, {"n": 1})
        assert answer.headers["preference-applied"] == "wait=20"


async def test_a_job_that_has_not_ended_has_no_results_yet(service: Running):
    job_id = await service.new_job()
    for query in ("", "?wait=0.05"):
        answer = await service.client.get(f"/jobs/{job_id}/result{query}")
        assert (answer.status_code, code_of(answer)) == (409, "not-finished")
        assert answer.headers["retry-after"] == "1"
    assert answer.headers["preference-applied"] == "wait=0.05"


async def test_a_job_that_failed_says_why_it_has_no_results(service: Running):
    failed, cancelled, silent = [await service.new_job() for _ in range(3)]
    await service.queue.fail(failed, "the disk is full")
    await service.queue.cancel(cancelled, "not needed")
    await service.queue.cancel(silent)
    for job_id, why in [
        (failed, "the disk is full"),
        (cancelled, "not needed"),
        (silent, "The job is cancelled."),
    ]:
        answer = await service.client.get(f"/jobs/{job_id}/result")
        assert (answer.status_code, code_of(answer)) == (409, "job-failed")
        assert answer.json()["detail"] == why
        assert "retry-after" not in answer.headers


async def test_an_unknown_job_has_no_results(service: Running):
    for job_id in ("unknown", "a%20b"):
        answer = await service.client.get(f"/jobs/{job_id}/result")
        assert (answer.status_code, code_of(answer)) == (404, "job-not-found")


async def test_waiting_for_results_ends_with_a_job_that_has_none(service: Running):
    job_id = await service.new_job()
    look = asyncio.create_task(service.client.get(f"/jobs/{job_id}/result?wait=20"))
    await eventually(lambda: service.state.waits.taken == 1)
    await service.queue.cancel(job_id)
    answer = await look
    assert (answer.status_code, code_of(answer)) == (409, "job-failed")
    await service.queue.delete(job_id)
    assert code_of(await service.client.get(f"/jobs/{job_id}/result?wait=20")) == "job-not-found"


async def test_a_client_that_leaves_waits_for_no_results(service: Running):
    job_id = await service.new_job()
    look = asyncio.create_task(service.client.get(f"/jobs/{job_id}/result?wait=20"))
    await eventually(lambda: service.state.waits.taken == 1)
    look.cancel()
    await eventually(lambda: service.state.waits.taken == 0)


async def test_waiting_for_results_ends_when_the_service_closes(service: Running):
    job_id = await service.new_job()
    look = asyncio.create_task(service.client.get(f"/jobs/{job_id}/result?wait=20"))
    await eventually(lambda: service.state.waits.taken == 1)
    service.state.closing.set()
    answer = await look
    assert (answer.status_code, code_of(answer)) == (409, "not-finished")


async def test_a_wait_for_results_that_is_no_number_is_refused(on_memory: Running):
    job_id = await on_memory.new_job()
    assert pointers(await on_memory.client.get(f"/jobs/{job_id}/result?wait=soon")) == ["?wait"]
