"""Workers in other languages: real processes at a real service, through what happens in a worker's life.

The service runs in the test's own process, or in one of its own where it is stopped and started.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from jdobb_async_queue import Broadcaster, Job, JobQueue
from jdobb_service.keys import new_key
from tests.support.browsing import http_server
from tests.support.http_workers import COMMANDS, Launcher, Process, jq_in
from tests.support.jobs import get_job
from tests.support.restarts import Service
from tests.support.serving import Running, serving
from tests.support.waiting import WITHIN, eventually

TYPE = "word-count"
TEXT = {"text": "\n".join(["one two three"] * 4)}
WORDS = {"words": 12}
MANY = 1000
"""Leases that a job may lose: a short one is lost while the machine stands still."""
LONG_TEXT = {"text": "\n".join(["one"] * 19)}
"""In so many parts that the job does not end before the test has done something to it."""
FOR_EVER = 3600
"""As a pace: the worker reports the first part of a text and stays in the middle of the job."""


@pytest.fixture(params=COMMANDS)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Launcher:
    return Launcher(request.param, tmp_path)


@pytest.fixture
async def service() -> AsyncIterator[Running]:
    async with serving() as service:
        yield service


@pytest.fixture
def queue(service: Running) -> JobQueue:
    return service.queue


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Service]:
    """Return a service as a process that has not been started yet."""
    service = Service(tmp_path)
    yield service
    service.stop()


@pytest.fixture
async def lasting(stopped: Service) -> AsyncIterator[JobQueue]:
    """Return the queue on that service's file."""
    async with JobQueue.from_url(stopped.backend_url) as queue:
        yield queue


@asynccontextmanager
async def working(launcher: Launcher, url: str, **options: Any) -> AsyncIterator[Process]:
    """Run a worker as ``started`` does, and let the service answer while the worker ends."""
    with launcher.started(url, **options) as worker:
        try:
            yield worker
        finally:
            await asyncio.to_thread(worker.end)


async def in_the_middle(queue: JobQueue, job_id: str) -> Job:
    """Wait until a worker has reported a part of the job and goes on with it, and return it."""
    found: list[Job] = []

    async def is_there() -> bool:
        found[:] = [await get_job(queue, job_id)]
        return found[0].status == "processing" and 0 < found[0].progress < 1

    await eventually(is_there, within=2 * WITHIN)
    return found[0]


async def ended(queue: JobQueue, job_id: str) -> Job:
    return await queue.wait(job_id, timeout=2 * WITHIN)


async def has_said(worker: Process, text: str) -> None:
    await eventually(lambda: text in worker.said(), within=2 * WITHIN)


async def id_after(queue: JobQueue, *, beats: int) -> str:
    """Wait for so many more heartbeats of the only worker, and return its id."""
    seen: set[object] = set()

    async def enough() -> bool:
        seen.update(worker.last_heartbeat_at for worker in await queue.workers())
        return len(seen) > beats

    await eventually(enough, within=2 * WITHIN)
    (worker,) = await queue.workers()
    return worker.id


async def test_jobs_complete_and_their_progress_is_seen(
    launcher: Launcher, service: Running, queue: JobQueue
):
    ids = [await queue.enqueue(TYPE, TEXT) for _ in range(3)]
    async with working(launcher, service.url):
        updates = [update async for update in Broadcaster(queue).subscribe(ids[0], after=0)]
        jobs = [await ended(queue, job_id) for job_id in ids]
    assert [(job.status, job.results, job.attempt) for job in jobs] == [("complete", WORDS, 1)] * 3
    reported = [update for update in updates if update.kind == "progress"]
    assert [update.progress for update in reported] == [0.25, 0.5, 0.75, 1.0]
    assert [update.message for update in reported] == ["3 words", "6 words", "9 words", "12 words"]


@pytest.mark.parametrize("launcher", ["python", "node"], indirect=True)
async def test_as_many_jobs_as_there_are_slots_run_at_once(
    launcher: Launcher, service: Running, queue: JobQueue
):
    ids = [await queue.enqueue(TYPE, TEXT) for _ in range(4)]
    async with working(launcher, service.url, slots=3, pace=FOR_EVER):
        for job_id in ids[:3]:
            await in_the_middle(queue, job_id)
        assert (await get_job(queue, ids[3])).status == "pending"


async def test_a_job_that_is_cancelled_while_it_runs_is_left(
    launcher: Launcher, service: Running, queue: JobQueue
):
    first, second = [await queue.enqueue(TYPE, TEXT, max_lost=MANY) for _ in range(2)]
    async with working(launcher, service.url, pace=FOR_EVER, lease=3) as worker:
        await in_the_middle(queue, first)
        await queue.cancel(first)
        await in_the_middle(queue, second)
        assert first in worker.said()
    assert (await get_job(queue, first)).status == "cancelled"


async def test_a_job_that_somebody_else_settled_is_dropped(
    launcher: Launcher, service: Running, queue: JobQueue
):
    first, second = [await queue.enqueue(TYPE, text) for text in (LONG_TEXT, TEXT)]
    async with working(launcher, service.url, pace=0.5) as worker:
        await in_the_middle(queue, first)
        await queue.complete(first, {"words": "by hand"})
        assert (await ended(queue, second)).results == WORDS
        assert f"lost {first}" in worker.said()
    assert (await get_job(queue, first)).results == {"words": "by hand"}


async def test_a_job_that_cannot_be_done_fails_with_its_error(
    launcher: Launcher, service: Running, queue: JobQueue
):
    wrong = await queue.enqueue(TYPE, {"text": 5}, max_attempts=3)
    right = await queue.enqueue(TYPE, TEXT)
    async with working(launcher, service.url):
        job = await ended(queue, wrong)
        assert (await ended(queue, right)).status == "complete"
    assert (job.status, job.error, job.attempt) == ("failed", "data.text must be a string", 1)
    assert (job.errors[0].type, job.errors[0].message) == ("BadInput", "data.text must be a string")


async def test_results_that_are_refused_fail_the_job(launcher: Launcher, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    async with (
        serving(backend_url=url, max_payload_bytes=4) as service,
        JobQueue.from_url(url) as queue,
        working(launcher, service.url),
    ):
        job = await ended(queue, await queue.enqueue(TYPE, TEXT))
    assert job.status == "failed"
    assert "payload-too-large" in (job.error or "") or "413" in (job.error or "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_gives_the_job_back_and_ends_the_worker(
    launcher: Launcher, service: Running, queue: JobQueue, number: signal.Signals
):
    job_id = await queue.enqueue(TYPE, TEXT)
    async with working(launcher, service.url, pace=FOR_EVER, lease=FOR_EVER) as worker:
        await in_the_middle(queue, job_id)
        assert await asyncio.to_thread(worker.end, number) == 0
        assert f"release {job_id}" in worker.said()
    job = await get_job(queue, job_id)
    assert (job.status, job.failures, job.losses) == ("pending", 0, 0)
    async with working(launcher, service.url, name="another"):
        assert (await ended(queue, job_id)).results == WORDS


async def test_the_directive_to_stop_gives_the_job_back_and_ends_the_worker(
    launcher: Launcher, service: Running, queue: JobQueue
):
    job_id = await queue.enqueue(TYPE, TEXT, max_lost=MANY)
    async with working(launcher, service.url, pace=FOR_EVER, lease=3) as worker:
        job = await in_the_middle(queue, job_id)
        assert await queue.signal_worker(job.worker_id or "", "stop")
        assert await asyncio.to_thread(worker.process.wait, 2 * WITHIN) == 0
        job = await get_job(queue, job_id)
    assert (job.status, job.failures) == ("pending", 0)


async def test_a_quiet_worker_claims_nothing_until_it_may_and_ends_when_told(
    launcher: Launcher, service: Running, queue: JobQueue
):
    async with working(launcher, service.url, lease=3, claim_wait=1) as worker:
        assert (await ended(queue, await queue.enqueue(TYPE, TEXT))).status == "complete"
        worker_id = await id_after(queue, beats=1)
        await queue.signal_worker(worker_id, "quiet")
        await id_after(queue, beats=3)  # the last one follows an answer that held the directive
        job_id = await queue.enqueue(TYPE, TEXT)
        await id_after(queue, beats=3)
        job = await get_job(queue, job_id)
        assert (job.status, job.attempt <= 1) == ("pending", True), "a claim that waited then gives it back"

        await queue.signal_worker(worker_id, "run")
        job = await ended(queue, job_id)
        assert (job.results, job.failures) == (WORDS, 0)
        await queue.signal_worker(worker_id, "stop")
        assert await asyncio.to_thread(worker.process.wait, 2 * WITHIN) == 0


async def test_a_worker_that_is_told_to_be_quiet_goes_on_with_what_it_runs(
    launcher: Launcher, service: Running, queue: JobQueue
):
    first, second = [await queue.enqueue(TYPE, TEXT) for _ in range(2)]
    async with working(launcher, service.url, lease=3, claim_wait=1, pace=FOR_EVER) as worker:
        await in_the_middle(queue, first)
        await queue.signal_worker(await id_after(queue, beats=1), "quiet")
        await id_after(queue, beats=3)
        job = await get_job(queue, first)
        assert job.status == "processing" or job.losses  # the machine may have stood still for a lease

        await queue.complete(first, {"words": "by hand"})
        await has_said(worker, f"lost {first}")
        await id_after(queue, beats=3)
        job = await get_job(queue, second)
        assert (job.status, job.attempt) == ("pending", 0)


async def test_a_restart_of_the_service_costs_no_job(launcher: Launcher, stopped: Service, lasting: JobQueue):
    await asyncio.to_thread(stopped.start)
    running = await lasting.enqueue(TYPE, TEXT)
    async with working(launcher, stopped.url, pace=0.5) as worker:
        await eventually(lambda: running in worker.said(), within=2 * WITHIN)
        await asyncio.to_thread(stopped.stop)
        await has_said(worker, "service away")
        await asyncio.to_thread(stopped.start)
        job = await ended(lasting, running)
        assert (job.results, job.attempt, job.failures, job.losses) == (WORDS, 1, 0, 0)
        assert (await ended(lasting, await lasting.enqueue(TYPE, TEXT))).status == "complete"


async def test_a_service_that_is_not_there_yet_is_waited_for(
    launcher: Launcher, stopped: Service, lasting: JobQueue
):
    async with working(launcher, stopped.url) as worker:
        await has_said(worker, "service away")
        await asyncio.to_thread(stopped.start)
        assert (await ended(lasting, await lasting.enqueue(TYPE, TEXT))).status == "complete"


async def test_an_answer_that_the_service_is_unavailable_is_waited_out(
    launcher: Launcher, stopped: Service, lasting: JobQueue
):
    asked = threading.Event()

    class Unavailable(BaseHTTPRequestHandler):
        """Answers as a proxy does while the service is away."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            asked.set()

        def log_message(self, *_: object) -> None:
            pass

    async with working(launcher, stopped.url) as worker:
        with http_server(Unavailable, stopped.port):
            assert await asyncio.to_thread(asked.wait, 2 * WITHIN)
            await has_said(worker, "503")
        await asyncio.to_thread(stopped.start)
        assert (await ended(lasting, await lasting.enqueue(TYPE, TEXT))).status == "complete"


async def test_a_key_for_working_is_enough_and_a_wrong_one_ends_the_worker(launcher: Launcher):
    key, secret = new_key("counter", ("work",), (TYPE,))
    async with serving(api_keys=(key,)) as service:
        async with working(launcher, service.url, key=secret):
            job_id = await service.queue.enqueue(TYPE, TEXT)
            assert (await ended(service.queue, job_id)).results == WORDS
        async with working(launcher, service.url, key="wrong", exit_code=1) as worker:
            assert await asyncio.to_thread(worker.process.wait, 2 * WITHIN) == 1
            assert "401" in worker.said()


def test_the_jq_for_machines_without_one_does_what_the_worker_asks_of_it(tmp_path: Path):
    jq = jq_in(tmp_path) / "jq"

    def run(*arguments: str, given: str = "") -> tuple[int, str]:
        done = subprocess.run([jq, *arguments], input=given, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert run("-r", ".a[0].b", given='{"a": [{"b": "x y"}]}') == (0, "x y\n")
    assert run("-c", ".a", given='{"a": {"b": [1, "é"]}}') == (0, '{"b":[1,"é"]}\n')
    made = run("-nc", "--arg", "t", '1"', "--argjson", "n", "null", "{t: $t, n: $n}")
    assert (made[0], json.loads(made[1])) == (0, {"t": '1"', "n": None})
    assert run("-er", ".text | strings", given='{"text": "a\\nb"}') == (0, "a\nb\n")
    assert run("-er", ".text | strings", given='{"text": 5}') == (4, "")
    assert run("-Rsc", '{m: rtrimstr("\\n")}', given="l1\nl2\n") == (0, '{"m":"l1\\nl2"}\n')
    assert run("-r", '"\\(.a) \\(.b)"', given='{"a": "ok", "b": "run"}') == (0, "ok run\n")
    assert run(".", given="no JSON")[0] != 0
