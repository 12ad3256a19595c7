"""What Prometheus is told, on each backend, and what it costs."""

from __future__ import annotations

import re

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from jdobb_async_queue import FailNow, JobContext, JobQueue, JobRouter, facts
from jdobb_async_queue.backends.memory import MemoryBackend
from jdobb_service import metrics
from jdobb_service.app import create_app
from jdobb_service.keys import new_key
from jdobb_service.settings import Settings
from tests.docs.blocks import table
from tests.support.outage import FailingBackend
from tests.support.serving import Running, code_of, serving
from tests.support.streams import events
from tests.support.waiting import eventually

Samples = dict[tuple[str, tuple[str, ...]], float]


async def scrape(client: httpx.AsyncClient, **headers: str) -> Samples:
    """Return the samples by name and label values; those of histograms' buckets are left out."""
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def _router() -> JobRouter:
    router = JobRouter()

    @router.handler("mail")
    async def mail(ctx: JobContext) -> None:
        if ctx.data.get("fail"):
            raise FailNow("no such address")

    return router


async def test_jobs_are_counted_as_they_are_enqueued_and_end(backend_url: str):
    async with serving([_router()], backend_url=backend_url) as service:
        for data in ({}, {}, {"fail": True}):
            await service.post({"job_type": "mail", "data": data}, prefer="wait=20")
        told = await scrape(service.client)
        while ("jdobb_job_run_seconds_count", ("mail", "failed")) not in told:
            told = await scrape(service.client)  # the store tells of the end before the worker does
    assert told["jdobb_jobs_enqueued_total", ("mail",)] == 3
    for name in ("jdobb_jobs_finished_total", "jdobb_job_attempts_total", "jdobb_job_run_seconds_count"):
        assert told[name, ("mail", "complete")] == 2
        assert told[name, ("mail", "failed")] == 1
    assert told["jdobb_job_wait_seconds_count", ("mail",)] == 3
    assert told["jdobb_job_wait_seconds_sum", ("mail",)] >= 0
    assert (told["jdobb_backend_up", ()], told["jdobb_workers", ()]) == (1, 1)
    assert told["jdobb_worker_restarts_total", ()] == 0


async def test_the_queue_is_shown_as_it_stands(service: Running):
    await service.new_job("mail")
    claimed = await service.queue.claim(["mail"])
    assert claimed is not None
    first = await service.new_job("mail")
    await service.new_job("mail", delay=60)
    told = await scrape(service.client)
    states = {state: told["jdobb_queue_jobs", ("mail", state)] for state in ("ready", "running", "delayed")}
    assert states == {"ready": 1, "running": 1, "delayed": 1}
    assert told["jdobb_queue_latency_seconds", ("mail",)] >= 0
    await service.client.post(f"/jobs/{first}/cancel")
    await service.client.post(f"/jobs/{first}/cancel")
    told = await scrape(service.client)
    assert told["jdobb_jobs_finished_total", ("mail", "cancelled")] == 1
    assert told["jdobb_queue_jobs", ("mail", "ready")] == 0
    assert told["jdobb_queue_latency_seconds", ("mail",)] == 0


async def test_jobs_of_batches_of_bulk_calls_and_of_http_workers_are_counted_too(on_memory: Running):
    client = on_memory.client
    jobs = [{"id": name, "job_type": "mail"} for name in ("a", "b", "c", "d", "a")]
    await client.post("/jobs/batch", json={"jobs": jobs})
    for _ in range(2):
        await client.post("/jobs/bulk", json={"action": "cancel", "ids": ["d"]})
    for verb, more in (
        ("complete", {}),
        ("complete", {}),
        ("fail", {"error": {"message": "no"}, "retry": False}),
        ("release", {}),
    ):
        claimed = (await client.post("/worker/claim", json={"worker_id": "w", "job_types": ["mail"]})).json()
        job = claimed["jobs"][0]
        for _ in range(2):
            said = {"lease_token": job["lease_token"], **more}
            await client.post(f"/worker/jobs/{job['id']}/{verb}", json=said)
        if verb == "fail":
            await client.post(f"/jobs/{job['id']}/retry")
    await client.post("/jobs/bulk", json={"action": "delete", "filter": {"status": "complete"}})

    told = await scrape(client)
    assert told["jdobb_jobs_enqueued_total", ("mail",)] == 4
    finished = {
        outcome: told.get(("jdobb_jobs_finished_total", ("mail", outcome)))
        for outcome in ("complete", "failed", "cancelled")
    }
    assert finished == {"complete": 2, "failed": 1, "cancelled": 1}


async def test_a_job_that_existed_is_not_enqueued_again(on_memory: Running):
    for _ in range(2):
        await on_memory.post({"job_type": "mail", "id": "one"})
        await on_memory.post({"job_type": "mail"}, idempotency_key="k")
    assert (await scrape(on_memory.client))["jdobb_jobs_enqueued_total", ("mail",)] == 2


async def test_open_streams_are_counted_while_they_are_open(on_memory: Running):
    job_id = await on_memory.new_job()
    async with on_memory.client.stream("GET", f"/jobs/{job_id}/events") as answer:
        await anext(events(answer))
        assert (await scrape(on_memory.client))["jdobb_sse_clients", ()] == 1
    await eventually(lambda: on_memory.state.streams.taken == 0)
    assert (await scrape(on_memory.client))["jdobb_sse_clients", ()] == 0


async def test_a_scrape_costs_one_call_to_the_backend():
    backend = FailingBackend(MemoryBackend())
    queue = JobQueue(backend)
    async with serving(app=create_app(Settings(backend_url="memory://"), queue=queue)) as service:
        await service.new_job("mail")
        before = dict(backend.called)
        await scrape(service.client)
        assert {name: n for name, n in backend.called.items() if n != before.get(name)} == {
            "stats": before.get("stats", 0) + 1
        }
    await queue.close()


async def test_without_its_backend_the_process_still_tells_of_itself_and_of_the_outage():
    backend = FailingBackend(MemoryBackend())
    queue = JobQueue(backend)
    async with serving(app=create_app(Settings(backend_url="memory://"), queue=queue)) as service:
        job_id = await service.new_job("mail")
        async with service.client.stream("GET", f"/jobs/{job_id}/events") as answer:
            stream = events(answer)
            await anext(stream)
            await anext(stream)
            backend.down = True
            assert [event async for event in stream] == []
        assert (await service.post({"job_type": "mail"})).status_code == 503
        told = await scrape(service.client)
        assert told["jdobb_backend_up", ()] == 0
        assert told["jdobb_jobs_enqueued_total", ("mail",)] == 1
        for source in ("http", "stream", "metrics"):
            assert told["jdobb_backend_errors_total", ("failing", source)] == 1
        assert not [name for name, _ in told if name.startswith("jdobb_queue")]
        backend.down = False
        assert (await scrape(service.client))["jdobb_backend_up", ()] == 1
    await queue.close()


async def test_invented_job_types_do_not_make_series_without_end(on_memory: Running):
    for number in range(metrics.MAX_JOB_TYPES + 20):
        await on_memory.queue.enqueue(f"type-{number}")
    told = await scrape(on_memory.client)
    named = {labels[0] for name, labels in told if name == "jdobb_queue_latency_seconds"}
    assert len(named) == metrics.MAX_JOB_TYPES + 1
    assert told["jdobb_queue_jobs", (metrics.OTHER, "ready")] == 20
    labels = metrics.JobTypeLabels(["mine"], limit=1)
    assert [labels.of(name) for name in ("a", "b", "mine", "a")] == ["a", "other", "mine", "a"]


async def test_both_formats_can_be_read_and_the_usual_one_is_plain_text(on_memory: Running):
    await on_memory.new_job("mail")
    for accept in ("*/*", "text/plain;version=1.0.0", "application/json", "text/plain; version=nonsense"):
        answer = await on_memory.client.get("/metrics", headers={"accept": accept})
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert list(parse(answer.text))
    for accept in ("application/openmetrics-text; version=1.0.0; charset=utf-8",
                   "application/openmetrics-text; version=nonsense"):  # fmt: skip
        answer = await on_memory.client.get("/metrics", headers={"accept": accept})
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert list(parse_openmetrics(answer.text))
    assert answer.headers["cache-control"] == "no-store"


async def test_a_key_for_some_job_types_sees_their_figures_only():
    boss, secret = new_key("boss", ("read",))
    some, limited = new_key("some", ("read",), ("mail.*",))
    none, useless = new_key("none", ("enqueue",))
    async with serving(api_keys=(boss, some, none)) as service:
        for job_type in ("mail.out", "secret", *(f"t{n}" for n in range(metrics.MAX_JOB_TYPES))):
            await service.queue.enqueue(job_type)
        everything = await scrape(service.client, authorization=f"Bearer {secret}")
        seen = await scrape(service.client, authorization=f"Bearer {limited}")
        for headers, status, code in [
            ({}, 401, "unauthenticated"),
            ({"authorization": f"Bearer {useless}"}, 403, "insufficient-scope"),
        ]:
            answer = await service.client.get("/metrics", headers=headers)
            assert (answer.status_code, code_of(answer)) == (status, code)
    assert ("jdobb_queue_jobs", ("secret", "ready")) in everything
    assert ("jdobb_queue_jobs", ("other", "ready")) in everything
    shown = {labels[0] for name, labels in seen if labels and name.startswith(("jdobb_queue", "jdobb_job"))}
    assert shown == {"mail.out"}
    assert seen["jdobb_backend_up", ()] == 1


async def test_the_page_lists_what_is_scraped(on_memory: Running):
    text = (await on_memory.client.get("/metrics")).text
    scraped = {
        (f"{name}_total" if kind == "counter" and not name.endswith("_total") else name, kind)
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    }
    assert {(row[0].strip("`"), row[1]) for row in table("docs/deployment.md", "Metrics")} == scraped


async def test_what_only_a_worker_learns_is_counted_by_its_facts():
    counted = metrics.Metrics(["mail"], backend="memory")
    for fact in [
        facts.JobStarted("a", "mail", 1, waited=3.0),
        facts.JobSettled("a", "mail", 1, "retrying", 0.2),
        facts.JobStopped("a", "mail", 2, "cancelled"),
        facts.JobStopped("a", "mail", 3, "timeout"),
        facts.JobSettled("a", "mail", 3, "released", 0.2),
        facts.JobsSwept(rescued=2, expired=3),
        facts.BackendLost("fetcher", "away", 1),
        facts.WorkerStopped("w", 0),
    ]:
        counted.observe(fact)
    content, _ = counted.render(metrics.Now("1", "memory", {}, streams=0, waits=0))
    told = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parse(content.decode())
        for sample in family.samples
    }
    attempts = {labels[1]: n for (name, labels), n in told.items() if name == "jdobb_job_attempts_total"}
    assert attempts == {"retrying": 1, "cancelled": 1, "released": 1}
    assert not [name for name, _ in told if name == "jdobb_jobs_finished_total"]
    assert told["jdobb_job_wait_seconds_bucket", ("mail", "2.5")] == 0
    assert told["jdobb_job_wait_seconds_bucket", ("mail", "5.0")] == 1
    assert (told["jdobb_leases_expired_total", ()], told["jdobb_jobs_expired_total", ()]) == (2, 3)
    assert told["jdobb_backend_errors_total", ("memory", "fetcher")] == 1
