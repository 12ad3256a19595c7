"""POST /jobs/bulk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jdobb_async_queue import NewJob
from tests.support.callers import as_
from tests.support.serving import Running, code_of, pointers


async def _bulk(
    service: Running, action: str, headers: dict[str, str] | None = None, **wanted: Any
) -> httpx.Response:
    return await service.client.post("/jobs/bulk", json={"action": action, **wanted}, headers=headers)


async def _told(service: Running, action: str, **wanted: Any) -> dict[str, Any]:
    answer = await _bulk(service, action, **wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _all_well(n: int) -> dict[str, Any]:
    return {"matched": n, "done": n, "failed": [], "more": False}


async def _statuses(service: Running, *ids: str) -> list[str | None]:
    return [None if job is None else job.status.value for job in await service.queue.get_many(ids)]


async def _one_of_each(service: Running) -> list[str]:
    """Return ids of a pending, a processing, a complete, a failed and a cancelled job."""
    running = await service.new_job("b", id="processing")
    assert await service.queue.claim(["b"])
    pending, complete, failed, cancelled = [
        await service.new_job("a", id=name) for name in ("pending", "complete", "failed", "cancelled")
    ]
    await service.queue.complete(complete)
    await service.queue.fail(failed, "broken")
    await service.queue.cancel(cancelled)
    return [pending, running, complete, failed, cancelled]


@pytest.mark.parametrize(
    ("action", "after"),
    [
        ("cancel", ["cancelled", "cancelled", "complete", "failed", "cancelled"]),
        ("retry", ["pending", "processing", "complete", "pending", "pending"]),
        ("delete", ["pending", "processing", None, None, None]),
    ],
)
async def test_a_filter_finds_the_jobs_whose_status_allows_the_action(
    service: Running, action: str, after: list[str | None]
):
    ids = await _one_of_each(service)
    found = await _told(service, action, filter={"job_type": ["a", "b"]})
    assert found == _all_well(3 if action == "delete" else 2)
    assert await _statuses(service, *ids) == after


@pytest.mark.parametrize(
    ("action", "code", "refused"),
    [
        ("cancel", "job-terminal", ["complete", "failed"]),
        ("retry", "invalid-transition", ["pending", "processing", "complete"]),
        ("delete", "not-terminal", ["pending", "processing"]),
    ],
)
async def test_ids_are_answered_as_single_calls_would_be(
    service: Running, action: str, code: str, refused: list[str]
):
    ids = await _one_of_each(service)
    trial = await _told(service, action, ids=["unknown", *ids], dry_run=True)
    assert await _statuses(service, *ids) == ["pending", "processing", "complete", "failed", "cancelled"]
    found = await _told(service, action, ids=["unknown", *ids])
    failed = [
        {"id": "unknown", "code": "job-not-found"},
        *({"id": job_id, "code": code} for job_id in refused),
    ]
    assert found == {"matched": 5, "done": 5 - len(refused), "failed": failed, "more": False}
    assert trial == {**found, "done": 0}


async def test_every_field_of_a_filter_narrows_it(service: Running):
    ida = await service.new_job("a", metadata={"user": "ida"})
    otto = await service.new_job("a", metadata={"user": "otto"})
    other = await service.new_job("b", metadata={"user": "ida"})
    hour = timedelta(hours=1)
    before, after = (datetime.now(UTC) - hour).isoformat(), (datetime.now(UTC) + hour).isoformat()

    assert await _told(service, "cancel", filter={"created_after": after}) == _all_well(0)
    assert await _told(service, "cancel", filter={"created_before": before}) == _all_well(0)
    assert await _told(service, "cancel", filter={"status": "processing"}) == _all_well(0)
    wanted = {
        "status": ["pending"],
        "job_type": "a",
        "metadata": {"user": "ida"},
        "created_after": before,
        "created_before": after,
    }
    assert await _told(service, "cancel", filter=wanted) == _all_well(1)
    assert await _statuses(service, ida, otto, other) == ["cancelled", "pending", "pending"]


async def test_a_dry_run_counts_and_changes_nothing(service: Running):
    job_id = await service.new_job("a")
    found = await _told(service, "cancel", filter={"job_type": "a"}, dry_run=True)
    assert found == {"matched": 1, "done": 0, "failed": [], "more": False}
    assert await _statuses(service, job_id) == ["pending"]


async def test_a_retry_whose_unique_key_is_taken_is_told(service: Running):
    first = await service.new_job(unique_key="k")
    await service.queue.cancel(first)
    await service.new_job(unique_key="k")
    found = await _told(service, "retry", filter={"status": "cancelled"})
    assert found == {
        "matched": 1,
        "done": 0,
        "failed": [{"id": first, "code": "duplicate-job"}],
        "more": False,
    }


async def test_an_id_given_twice_counts_once(service: Running):
    job_id = await service.new_job()
    assert await _told(service, "cancel", ids=[job_id, job_id]) == _all_well(1)


async def test_many_jobs_take_several_calls(service: Running):
    for _ in range(2):
        await service.queue.enqueue_many([NewJob(job_type="a")] * 600)
    first = await _told(service, "cancel", filter={"job_type": "a"})
    assert first == {"matched": 1000, "done": 1000, "failed": [], "more": True}
    assert await _told(service, "cancel", filter={"job_type": "a"}) == _all_well(200)
    assert await service.queue.counts() == {"a": {"cancelled": 1200}}


async def test_a_closing_service_leaves_the_rest_as_it_is(on_memory: Running):
    job_id = await on_memory.new_job()
    on_memory.state.closing.set()
    found = await _told(on_memory, "cancel", ids=[job_id])
    assert (found["done"], found["more"]) == (0, True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/action"),
        ({"action": "pause", "ids": ["a"]}, "#/action"),
        ({"action": "cancel"}, "#"),
        ({"action": "cancel", "ids": ["a"], "filter": {"job_type": "a"}}, "#"),
        ({"action": "cancel", "filter": {}}, "#/filter"),
        ({"action": "cancel", "filter": {"status": None}}, "#/filter"),
        ({"action": "cancel", "filter": {"job_type": []}}, "#/filter/job_type"),
        ({"action": "cancel", "filter": {"status": []}}, "#/filter/status"),
        ({"action": "cancel", "filter": {"metadata": {}}}, "#/filter/metadata"),
        ({"action": "cancel", "filter": {"metadata": {"n": 1}}}, "#/filter/metadata/n"),
        ({"action": "cancel", "filter": {"status": "done"}}, "#/filter/status/0"),
        ({"action": "cancel", "filter": {"status": "complete"}}, "#/filter/status"),
        ({"action": "delete", "filter": {"status": ["pending", "processing"]}}, "#/filter/status"),
        ({"action": "cancel", "filter": {"job_type": ["a", "a b"]}}, "#/filter/job_type/1"),
        ({"action": "cancel", "filter": {"quue": "a"}}, "#/filter/quue"),
        ({"action": "cancel", "filter": {"created_after": "yesterday"}}, "#/filter/created_after"),
        ({"action": "cancel", "ids": []}, "#/ids"),
        ({"action": "cancel", "ids": ["a b"]}, "#/ids/0"),
        ({"action": "cancel", "ids": ["a"] * 1001}, "#/ids"),
        ({"action": "cancel", "ids": ["a"], "dry_run": 1}, "#/dry_run"),
        ({"action": "cancel", "ids": ["a"], "force": True}, "#/force"),
        ([], "#"),
    ],
)
async def test_what_is_wrong_is_pointed_at(on_memory: Running, body: Any, pointer: str):
    job_id = await on_memory.new_job("a")
    answer = await on_memory.client.post("/jobs/bulk", json=body)
    assert answer.status_code == 422
    assert pointers(answer) == [pointer]
    assert await _statuses(on_memory, job_id) == ["pending"]


async def test_each_action_needs_its_own_scope(guarded: Running):
    allowed = {
        "producer": {"retry"},
        "reader": set(),
        "canceller": {"cancel"},
        "worker": set(),
        "boss": {"cancel", "retry", "delete"},
        "billing": {"cancel", "retry"},
    }
    for name, actions in allowed.items():
        for action in ("cancel", "retry", "delete"):
            answer = await _bulk(guarded, action, as_(name), ids=["unknown"])
            if action in actions:
                assert answer.status_code == 200, (name, action)
            else:
                assert (answer.status_code, code_of(answer)) == (403, "insufficient-scope"), (name, action)


async def test_who_may_not_read_learns_nothing_from_a_filter_by_metadata(guarded: Running):
    wanted = {"filter": {"metadata": {"user": "ida"}}, "dry_run": True}
    answer = await _bulk(guarded, "cancel", as_("canceller"), **wanted)
    assert (answer.status_code, code_of(answer)) == (403, "insufficient-scope")
    assert 'scope="read"' in answer.headers["www-authenticate"]
    assert (await _bulk(guarded, "cancel", as_("billing"), **wanted)).status_code == 200


async def test_a_key_for_some_job_types_changes_no_others(guarded: Running):
    other = await guarded.queue.enqueue("report")
    mine = await guarded.queue.enqueue("billing.invoice")
    by_ids = await _bulk(guarded, "cancel", as_("billing"), ids=[other], dry_run=True)
    assert by_ids.json()["failed"] == [{"id": other, "code": "job-not-found"}]
    assert by_ids.json()["matched"] == 0
    named = await _bulk(guarded, "cancel", as_("billing"), filter={"job_type": "report"})
    assert named.json() == _all_well(0)
    found = await _bulk(guarded, "cancel", as_("billing"), filter={"status": "pending"})
    assert found.json() == _all_well(1)
    assert await _statuses(guarded, other, mine) == ["pending", "cancelled"]
