"""The service while its backend is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jdobb_async_queue import BackendUnavailable, JobContext, JobQueue, JobRouter
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_async_queue.queue import reader
from jdobb_service import supervisor
from jdobb_service.app import create_app
from jdobb_service.job_types import JobTypes
from jdobb_service.problems import Problem
from jdobb_service.settings import Settings
from tests.support.outage import FailingBackend
from tests.support.redis_server import RedisServer
from tests.support.serving import code_of, serving
from tests.support.streams import events, read_all
from tests.support.waiting import eventually


async def test_an_outage_is_said_as_such_and_passes():
    backend = FailingBackend(MemoryBackend())
    queue = JobQueue(backend)
    app = create_app(Settings(backend_url="memory://"), queue=queue)
    async with serving(app=app) as service:
        job_id = await service.new_job()
        backend.down = True
        bodies = {
            "/jobs": {"job_type": "a"},
            "/jobs/batch": {"jobs": [{"job_type": "a"}]},
            "/jobs/bulk": {"action": "cancel", "ids": [job_id]},
        }
        for method, path in [
            ("POST", "/jobs"),
            ("POST", "/jobs/batch"),
            ("POST", "/jobs/bulk"),
            ("GET", "/jobs"),
            ("GET", f"/jobs/{job_id}"),
            ("GET", f"/jobs/{job_id}/events"),
            ("GET", f"/jobs/{job_id}/result"),
            ("DELETE", f"/jobs/{job_id}"),
            ("POST", f"/jobs/{job_id}/cancel"),
            ("POST", f"/jobs/{job_id}/retry"),
            ("GET", "/readyz"),
        ]:
            body = bodies.get(path) if method == "POST" else None
            answer = await service.client.request(method, path, json=body)
            assert (answer.status_code, code_of(answer)) == (503, "backend-unavailable"), path
            assert int(answer.headers["retry-after"]) >= 1
            assert "is down" not in answer.text
        assert (await service.client.get("/livez")).status_code == 200
        backend.down = False
        assert (await service.client.get("/readyz")).status_code == 200
        assert (await service.client.post(f"/jobs/{job_id}/cancel")).status_code == 200
    await queue.close()  # a queue of one's own is left open


class StandingStill(MemoryBackend):
    """A backend that answers the question for job types when it is let go, and then with a refusal."""

    def __init__(self) -> None:
        super().__init__()
        self.stands = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.asked = 0

    async def job_types(self) -> Any:
        self.asked += 1
        self.stands.set()
        await self.goes_on.wait()
        msg = "no answer"
        raise BackendUnavailable(msg)


async def test_a_stored_job_is_answered_although_it_cannot_be_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader, "_LOOK_AGAIN", 0.05)
    backend = FailingBackend(MemoryBackend())
    queue = JobQueue(backend)
    async with serving(app=create_app(Settings(backend_url="memory://"), queue=queue)) as service:
        posting = asyncio.create_task(service.post({"job_type": "a"}, prefer="wait=20"))
        await eventually(lambda: service.state.waits.taken == 1)
        backend.down = True
        answer = await posting
        backend.down = False
        assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    await queue.close()


async def test_jobs_are_not_refused_one_after_another_while_the_backend_stands_still():
    backend = StandingStill()
    async with JobQueue(backend) as queue:
        job_types = JobTypes(queue, [], closed=False)
        checks = [asyncio.ensure_future(job_types.check("a", {})) for _ in range(12)]
        await backend.stands.wait()
        backend.goes_on.set()
        found = await asyncio.gather(*checks, return_exceptions=True)
    assert {type(error) for error in found} == {BackendUnavailable}
    assert backend.asked == 1


async def test_a_schema_that_is_set_while_others_are_read_is_waited_for():
    stands, goes_on = asyncio.Event(), asyncio.Event()
    async with JobQueue(MemoryBackend()) as queue:
        job_types = JobTypes(queue, [], closed=False)
        asking = queue.backend.job_types

        async def slowly() -> Any:
            found = await asking()
            stands.set()
            await goes_on.wait()
            return found

        queue.backend.job_types = slowly  # type: ignore[method-assign]
        early = asyncio.ensure_future(job_types.check("a", {}))
        await stands.wait()
        await queue.set_job_type("a", schema={"required": ["to"]})
        job_types.changed()
        late = asyncio.ensure_future(job_types.check("a", {}))
        await asyncio.sleep(0)
        goes_on.set()
        await early
        with pytest.raises(Problem):
            await late


async def test_a_stream_whose_backend_goes_away_ends_without_an_end_and_can_be_continued():
    backend = FailingBackend(MemoryBackend())
    queue = JobQueue(backend)
    async with serving(app=create_app(Settings(backend_url="memory://"), queue=queue)) as service:
        job_id = await service.new_job()
        async with service.client.stream("GET", f"/jobs/{job_id}/events") as answer:
            stream = events(answer)
            await anext(stream)
            first = await anext(stream)
            backend.down = True
            assert [event async for event in stream] == []
        await eventually(lambda: service.state.streams.taken == 0)
        backend.down = False
        await service.queue.cancel(job_id)
        rest = await read_all(service.client, f"/jobs/{job_id}/events", last_event_id=first.id or "")
    assert [event.name for event in rest] == ["message", "end"]
    await queue.close()


def _router() -> JobRouter:
    router = JobRouter()

    @router.handler("quick")
    async def quick(ctx: JobContext) -> dict:
        return {"n": ctx.data["n"]}

    return router


async def test_a_killed_redis_is_refused_with_a_time_to_come_back_and_used_again_by_itself(tmp_path: Path):
    redis = RedisServer(tmp_path).start()
    async with serving([_router()], backend_url=redis.url) as service:
        assert (await service.client.get("/readyz")).status_code == 200
        redis.kill()
        for method, path in (("GET", "/readyz"), ("POST", "/jobs")):
            body = {"job_type": "quick"} if method == "POST" else None
            answer = await service.client.request(method, path, json=body)
            assert (answer.status_code, code_of(answer)) == (503, "backend-unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        assert (await service.client.get("/livez")).status_code == 200
        redis.start()
        answer = await service.client.get("/readyz")
        while answer.status_code != 200:  # the test's own limit ends it
            answer = await service.client.get("/readyz")
        posted = await service.post({"job_type": "quick", "data": {"n": 1}}, prefer="wait=20")
        assert (posted.status_code, posted.json()["results"]) == (201, {"n": 1})
    redis.stop()


class Defective(FailingBackend):
    """A backend whose sweeps raise ``defect``, or hang."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self.defect: Exception | None = None
        self.hang = asyncio.Event()
        self.hang.set()

    async def sweep(self, *arguments: Any) -> Any:
        await self.hang.wait()
        if self.defect is not None:
            raise self.defect
        return await self.inner.sweep(*arguments)


async def test_a_loop_of_the_worker_that_fails_is_named_until_it_recovers():
    backend = Defective()
    backend.defect = ValueError("a defect")
    queue = JobQueue(backend)
    app = create_app(Settings(backend_url="memory://"), [_router()], queue=queue)
    async with serving(app=app) as service:
        await eventually(lambda: service.state.supervisor.failing == ["sweeper"])
        ready = await service.client.get("/readyz")
        assert (ready.status_code, ready.json()["worker"]["failing"]) == (200, ["sweeper"])
        assert (await service.client.get("/livez")).status_code == 200
        backend.defect = None
        await eventually(lambda: service.state.supervisor.failing == [])
        assert (await service.client.get("/readyz")).json()["worker"]["failing"] == []
    await queue.close()


async def test_a_loop_of_the_worker_that_hangs_makes_the_process_one_to_be_started_anew(
    monkeypatch: pytest.MonkeyPatch,
):
    assert supervisor.STUCK_AFTER == 60
    monkeypatch.setattr(supervisor, "STUCK_AFTER", 0.05)
    backend = Defective()
    backend.hang.clear()
    queue = JobQueue(backend)
    app = create_app(Settings(backend_url="memory://", shutdown_grace=0), [_router()], queue=queue)
    async with serving(app=app) as service:
        await eventually(lambda: service.state.supervisor.stuck == ["sweeper"])
        answer = await service.client.get("/livez")
        assert (answer.status_code, code_of(answer)) == (503, "worker-stuck")
        assert answer.json()["loops"] == ["sweeper"]
        backend.hang.set()
        await eventually(lambda: service.state.supervisor.stuck == [])
        assert (await service.client.get("/livez")).status_code == 200
    await queue.close()
