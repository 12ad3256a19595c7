"""Figures over HTTP: now, by the minute, and what went wrong."""

from __future__ import annotations

import pytest

from jdobb_service.keys import new_key
from tests.support.serving import Running, code_of, pointers, serving

NOBODY = {"pending": 0, "processing": 0, "complete": 0, "failed": 0, "cancelled": 0}


async def run_some(service: Running, job_type: str = "mail") -> None:
    """Leave a job of each kind: complete, failed, running, ready, delayed."""
    for fields in ({}, {}, {}, {}, {"delay": 100}):
        await service.new_job(job_type, **fields)
    job = await service.queue.claim([job_type])
    await service.queue.complete(job.id, lease_token=job.lease_token)
    job = await service.queue.claim([job_type])
    await service.queue.fail(job.id, "no luck", type="ValueError", lease_token=job.lease_token)
    await service.queue.claim([job_type])


async def test_an_empty_queue_has_figures_too(service: Running):
    answer = await service.client.get("/stats")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    nothing = {"ready": 0, "running": 0, "delayed": 0, "oldest_ready_age": None, "counts": NOBODY}
    assert answer.json() == {**nothing, "job_types": {}}
    assert (await service.client.get("/stats/history")).json() == {"items": []}
    assert (await service.client.get("/stats/errors")).json() == {"items": []}


async def test_figures_are_told_in_total_and_by_type(service: Running):
    await run_some(service)
    await service.new_job("other")
    await service.queue.pause("other")
    found = (await service.client.get("/stats")).json()
    mail, other = found["job_types"]["mail"], found["job_types"]["other"]
    assert (mail["ready"], mail["running"], mail["delayed"], mail["paused"]) == (1, 1, 1, False)
    assert mail["counts"] == {"pending": 2, "processing": 1, "complete": 1, "failed": 1, "cancelled": 0}
    assert (other["ready"], other["paused"]) == (1, True)
    assert (found["ready"], found["running"], found["delayed"]) == (2, 1, 1)
    assert found["counts"] == {"pending": 3, "processing": 1, "complete": 1, "failed": 1, "cancelled": 0}
    assert found["oldest_ready_age"] == max(mail["oldest_ready_age"], other["oldest_ready_age"])


async def test_the_history_counts_what_happened_by_the_minute(service: Running):
    await run_some(service)
    answer = await service.client.get("/stats/history", params={"window": "86400"})
    points = answer.json()["items"]
    assert {point["job_type"] for point in points} == {"mail"}
    names = ("enqueued", "started", "complete", "failed", "cancelled", "retried")
    assert [sum(point[name] for point in points) for name in names] == [5, 3, 1, 1, 0, 0]
    assert any(point["run_p50"] is not None for point in points)
    assert points == (await service.client.get("/stats/history")).json()["items"]


async def test_a_window_may_have_every_decimal_of_a_double(on_memory: Running):
    answer = await on_memory.client.get("/stats/history", params={"window": 37777.39745184398})
    assert answer.status_code == 200


@pytest.mark.parametrize("window", ["0", "86401", "-1", "abc", "", "1e3", "nan", "9" * 12])
async def test_a_window_that_is_none_is_refused(on_memory: Running, window: str):
    assert pointers(await on_memory.client.get("/stats/history", params={"window": window})) == ["?window"]


async def test_parameters_that_are_none_are_refused(on_memory: Running):
    for path in ("/stats", "/stats/errors"):
        assert pointers(await on_memory.client.get(path, params={"window": "5"})) == ["?window"]
    assert pointers(await on_memory.client.get("/stats/history?since=1")) == ["?since"]
    assert pointers(await on_memory.client.get("/stats/history?window=1&window=2")) == ["?window"]


async def test_failures_are_grouped_by_their_type(service: Running):
    await run_some(service)
    job_id = await service.new_job("mail", priority="high")
    job = await service.queue.claim(["mail"])
    await service.queue.fail(job.id, "worse luck", type="ValueError", lease_token=job.lease_token)
    found = (await service.client.get("/stats/errors")).json()["items"]
    assert len(found) == 1
    assert (found[0]["job_type"], found[0]["type"], found[0]["count"]) == ("mail", "ValueError", 2)
    assert (found[0]["last_message"], found[0]["last_job_id"]) == ("worse luck", job_id)


async def test_a_key_for_some_types_sees_the_figures_of_no_others():
    key, secret = new_key("watcher", ("read",), ("billing.*",))
    boss, boss_secret = new_key("boss", ("admin",))
    async with serving(api_keys=(key, boss)) as service:
        service.client.headers["authorization"] = f"Bearer {boss_secret}"
        await run_some(service, "secret")
        await run_some(service, "billing.invoice")
        service.client.headers["authorization"] = f"Bearer {secret}"
        now = (await service.client.get("/stats")).json()
        assert list(now["job_types"]) == ["billing.invoice"]
        assert (now["ready"], now["counts"]["failed"]) == (1, 1)
        for path in ("/stats/history", "/stats/errors"):
            items = (await service.client.get(path)).json()["items"]
            assert {item["job_type"] for item in items} == {"billing.invoice"}
        refused = await service.client.put("/job-types/billing.invoice", json={})
        assert (refused.status_code, code_of(refused)) == (403, "insufficient-scope")
