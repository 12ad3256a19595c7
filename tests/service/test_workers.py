"""Workers over HTTP: who there is, and telling them to take no more jobs or to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from jdobb_async_queue import JobContext, JobRouter
from jdobb_service.keys import new_key
from tests.support.serving import Running, code_of, serving
from tests.support.waiting import WITHIN, eventually

FIELDS = {
    "id", "host", "pid", "slots", "job_types", "jobs", "stopping", "directive", "started_at",
    "last_heartbeat_at", "stale",
}  # fmt: skip


def holding(*job_types: str) -> tuple[JobRouter, asyncio.Event]:
    """Return handlers that hold their jobs until the event is set."""
    router, released = JobRouter(), asyncio.Event()

    async def hold(ctx: JobContext) -> None:
        del ctx
        await released.wait()

    for job_type in job_types:
        router.register_handler(job_type, hold)
    return router, released


async def workers(service: Running, **headers: str) -> list[dict]:
    answer = await service.client.get("/workers", headers=headers)
    assert answer.status_code == 200
    return answer.json()["items"]


async def some_worker(
    service: Running, *, is_so: Callable[[dict], bool] = lambda _: True, **headers: str
) -> dict:
    """Return the worker's entry, once it is there and as it should be."""
    found: list[dict] = []

    async def is_there() -> bool:
        found[:] = await workers(service, **headers)
        return bool(found) and is_so(found[0])

    await eventually(is_there)
    return found[0]


async def test_there_are_none_without_handlers(service: Running):
    assert await workers(service) == []


async def test_a_worker_is_shown_with_what_it_runs(backend_url: str):
    router, released = holding("mail")
    async with serving([router], backend_url=backend_url) as service:
        job_id = await service.new_job("mail")
        worker = await some_worker(service, is_so=lambda worker: worker["jobs"] == [job_id])
        assert set(worker) == FIELDS
        assert (worker["job_types"], worker["directive"], worker["stale"]) == (["mail"], "run", False)
        released.set()


async def test_a_quiet_worker_takes_no_new_jobs_and_goes_on_with_its_own(backend_url: str):
    router, released = holding("mail")
    async with serving([router], backend_url=backend_url) as service:
        first = await service.new_job("mail")
        worker = await some_worker(service, is_so=lambda worker: worker["jobs"] == [first])
        answer = await service.client.post(f"/workers/{worker['id']}/quiet")
        assert (answer.status_code, answer.json()["directive"]) == (200, "quiet")
        assert set(answer.json()) == FIELDS
        assert (await some_worker(service))["directive"] == "quiet"
        again = await service.client.post(f"/workers/{worker['id']}/quiet")
        assert again.status_code == 200
        released.set()
        assert (await service.queue.wait(first, WITHIN)).status == "complete"
        assert (await service.client.get("/readyz")).status_code == 200


async def test_a_stopped_worker_ends_and_the_service_goes_on(backend_url: str):
    router, released = holding("mail")
    released.set()
    async with serving([router], backend_url=backend_url) as service:
        worker = await some_worker(service)
        answer = await service.client.post(f"/workers/{worker['id']}/stop")
        assert (answer.status_code, answer.json()["directive"]) == (200, "stop")
        await eventually(lambda: not service.state.supervisor.running)
        assert await workers(service) == []
        job_id = await service.new_job("mail")
        assert (await service.queue.get(job_id)).status == "pending"
        ready = await service.client.get("/readyz")
        assert (ready.status_code, ready.json()["worker"]["running"]) == (200, False)
        gone = await service.client.post(f"/workers/{worker['id']}/stop")
        assert (gone.status_code, code_of(gone)) == (404, "worker-not-found")


@pytest.mark.parametrize("worker_id", ["nobody", "a%20b", "x" * 5000, "%00", "%F0%9F%8E%89"])
async def test_an_unknown_worker_is_not_found(on_memory: Running, worker_id: str):
    for directive in ("quiet", "stop"):
        answer = await on_memory.client.post(f"/workers/{worker_id}/{directive}")
        assert (answer.status_code, code_of(answer)) == (404, "worker-not-found")
    assert (await on_memory.client.post("/workers/nobody/run")).status_code == 404


async def test_a_key_for_some_types_sees_its_part_of_a_worker_and_directs_only_its_own():
    partial, partial_secret = new_key("partial", ("admin",), ("billing.*",))
    other, other_secret = new_key("other", ("admin",), ("mail",))
    whole, whole_secret = new_key("whole", ("admin",), ("billing.*", "secret"))
    router, released = holding("billing.invoice", "secret")
    async with serving([router], api_keys=(partial, other, whole)) as service:
        mine = await service.queue.enqueue("billing.invoice")
        hidden = await service.queue.enqueue("secret")
        as_whole = {"authorization": f"Bearer {whole_secret}"}
        both = {mine, hidden}
        worker = await some_worker(service, is_so=lambda worker: set(worker["jobs"]) == both, **as_whole)
        as_partial = {"authorization": f"Bearer {partial_secret}"}
        seen = await some_worker(service, **as_partial)
        assert (seen["job_types"], seen["jobs"]) == (["billing.invoice"], [mine])
        as_other = {"authorization": f"Bearer {other_secret}"}
        assert await workers(service, **as_other) == []

        path = f"/workers/{worker['id']}/quiet"
        assert code_of(await service.client.post(path, headers=as_other)) == "worker-not-found"
        assert code_of(await service.client.post(path, headers=as_partial)) == "insufficient-scope"
        assert (await service.client.post(path, headers=as_whole)).status_code == 200
        released.set()
