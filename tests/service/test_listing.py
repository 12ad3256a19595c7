"""GET /jobs."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.serving import Running, code_of, pointers


async def _ids(service: Running, **query: object) -> list[str]:
    answer = await service.client.get("/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


async def test_the_newest_jobs_come_first_and_without_what_may_be_large(service: Running):
    made = [await service.new_job(data={"n": n}) for n in range(3)]
    answer = await service.client.get("/jobs")
    assert [job["id"] for job in answer.json()["items"]] == made[::-1]
    assert answer.json()["next_cursor"] is None
    assert "link" not in answer.headers
    for job in answer.json()["items"]:
        assert not job.keys() & {"data", "results", "errors", "lease_token", "lease_expires_at"}


async def test_large_fields_are_shown_on_request(service: Running):
    await service.new_job(data={"n": 1})
    job = (await service.client.get("/jobs?include=data,results")).json()["items"][0]
    assert (job["data"], job["results"]) == ({"n": 1}, None)
    assert "errors" not in job


async def test_filters_narrow_the_list(service: Running):
    a = await service.new_job("a", metadata={"user": "ida", "n": 1})
    b = await service.new_job("b", metadata={"user": "otto"})
    c = await service.new_job("c")
    await service.queue.cancel(a)
    await service.queue.complete(b)

    assert await _ids(service, status="pending") == [c]
    assert await _ids(service, status=["cancelled", "complete"]) == [b, a]
    assert await _ids(service, job_type=["a", "c"]) == [c, a]
    assert await _ids(service, **{"metadata.user": "ida"}) == [a]
    assert await _ids(service, **{"metadata.user": "ida"}, status="pending") == []
    assert await _ids(service, created_after="2000-01-01T00:00:00Z") == [c, b, a]
    assert await _ids(service, created_before="2000-01-01T00:00:00+01:00") == []


async def test_pages_follow_one_another_by_link_and_by_cursor(service: Running):
    made = [await service.new_job(metadata={"kind": "x"}) for _ in range(7)]
    url, found = "/jobs?limit=3&metadata.kind=x", []
    while url:
        answer = await service.client.get(url)
        found.append([job["id"] for job in answer.json()["items"]])
        url = answer.links.get("next", {}).get("url")
        assert (url is None) == (answer.json()["next_cursor"] is None)
    assert [job_id for page in found for job_id in page] == made[::-1]
    assert [len(page) for page in found if page] == [3, 3, 1]


async def test_a_cursor_belongs_to_its_filters(service: Running):
    await asyncio.gather(*(service.new_job() for _ in range(3)))
    cursor = (await service.client.get("/jobs?limit=1")).json()["next_cursor"]
    other = await service.client.get("/jobs", params={"limit": 1, "cursor": cursor, "status": "failed"})
    assert (other.status_code, code_of(other)) == (400, "invalid-cursor")


@pytest.mark.parametrize("cursor", ["", "x", "W10", "eyJhIjoxfQ", "é", "[" * 500, "0" * 4000])
async def test_a_made_up_cursor_is_refused(on_memory: Running, cursor: str):
    answer = await on_memory.client.get("/jobs", params={"cursor": cursor})
    assert (answer.status_code, code_of(answer)) == (400, "invalid-cursor")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "?limit"),
        ("limit=201", "?limit"),
        ("limit=1e9", "?limit"),
        ("limit=0000000010000", "?limit"),
        ("limit=%D9%A1", "?limit"),
        ("limit=999999999999999999999", "?limit"),
        ("limit=", "?limit"),
        ("limit=1&limit=2", "?limit"),
        ("status=done", "?status"),
        ("status=", "?status"),
        ("job_type=a%20b", "?job_type"),
        ("job_type=", "?job_type"),
        ("created_after=yesterday", "?created_after"),
        ("created_after=2030-01-01", "?created_after"),
        ("created_before=2030-01-01T00:00:00", "?created_before"),
        ("created_before=9999-12-31T23:59:59-23:59", "?created_before"),
        ("include=secrets", "?include"),
        ("metadata.=x", "?metadata."),
        ("days=999999", "?days"),
        ("stauts=failed", "?stauts"),
        ("%ff=1", "?%EF%BF%BD"),
    ],
)
async def test_a_wrong_parameter_is_pointed_at(on_memory: Running, query: str, pointer: str):
    answer = await on_memory.client.get(f"/jobs?{query}")
    assert answer.status_code == 422
    assert pointers(answer) == [pointer]
