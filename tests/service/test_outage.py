"""The service while its backend is away."""

from __future__ import annotations

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_service.app import create_app
from jdobb_service.settings import Settings
from tests.support.outage import FailingBackend
from tests.support.serving import code_of, eventually, serving
from tests.support.streams import events, read_all


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
