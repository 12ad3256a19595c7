"""The user's setup guide works: its code runs word for word, on each backend that it names."""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import metadata
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from jdobb_async_queue import Job, JobQueue
from jdobb_async_queue.backends.urls import DEFAULT_URLS
from tests.docs.blocks import ROOT, run_block
from tests.docs.programs import interrupt, running
from tests.docs.setup_guide import GUIDE, PATTERNS, PYTHON, QUEUES, pieces, prompt_section
from tests.support.redis_server import RedisServer
from tests.support.waiting import WITHIN, eventually

REDIS = 'JobQueue(backend="redis", url="redis://localhost")'


@dataclass(frozen=True)
class Backend:
    """A backend that the guide names; redis is a server of the test's own, so its port is filled in."""

    name: str
    server: RedisServer | None = None

    def runs(self, text: str) -> str:
        """Return a piece that names redis as it stands, or with this backend in its place."""
        assert text.count(REDIS) == 1
        return self._here(text.replace(REDIS, QUEUES[self.name]) if self.server is None else text)

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[JobQueue]:
        """Open the queue that the guide names for it."""
        names = await run_block(f"queue = {self._here(QUEUES[self.name])}", {"JobQueue": JobQueue})
        queue: JobQueue = names["queue"]
        async with queue:
            yield queue

    def _here(self, text: str) -> str:
        if self.server is None:
            return text
        return re.sub(r"redis://(localhost|host:port)", f"redis://localhost:{self.server.port}", text)


@pytest.fixture(params=QUEUES)
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backend]:
    if request.param != "redis":
        yield Backend(request.param)
        return
    server = RedisServer(tmp_path).start()
    assert DEFAULT_URLS["redis"] == "redis://localhost:6379/0"
    monkeypatch.setitem(DEFAULT_URLS, "redis", server.url)
    yield Backend("redis", server)
    server.stop()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def names() -> dict[str, Any]:
    """Return the names that the guide says are to be imported."""
    lines = re.findall(
        r"^from jdobb_async_queue import .+$", prompt_section("REQUIRED IMPORTS"), re.MULTILINE
    )
    assert len(lines) == 2
    return await run_block("\n".join(lines), {})


async def finished(queue: JobQueue, job_id: str) -> Job:
    return await queue.wait(job_id, timeout=WITHIN)


def test_the_guide_is_the_users_document_and_stays_as_it_is():
    digest = hashlib.sha256(ROOT.joinpath(GUIDE).read_bytes()).hexdigest()
    assert digest == "74e1c093e7c4e48671b8bb563aadf9d018c3224eff9947961682faeeb48f3df2"


def test_every_piece_of_python_is_run_here():
    assert set(pieces()) == {
        "Step 3: Create Queue and Worker",
        "Step 4: Enqueue Jobs",
        "PRODUCER PATTERN",
        "CONSUMER PATTERN",
        "REAL-TIME UPDATES PATTERN",
        "backends.memory",
        "backends.redis",
        "backends.sqlite",
        "fastapi_integration",
        "standalone_worker",
        "testing",
    }


async def test_steps_3_and_4_create_a_queue_and_a_worker_and_enqueue_a_job(backend: Backend):
    create, enqueue = PYTHON["Step 3: Create Queue and Worker"], PYTHON["Step 4: Enqueue Jobs"]
    assert '# or "redis", "sqlite"' in create
    names = await run_block(create.replace('"memory"', f'"{backend.name}"'), {})
    task = asyncio.create_task(names["worker"].run())  # the guide: `# await worker.run()` at your start-up
    await run_block(enqueue, names)
    job = await finished(names["queue"], names["job_id"])
    assert (job.status, job.data, job.results) == ("complete", {"input": "value"}, {"status": "done"})
    await names["worker"].stop()
    await task
    await names["queue"].close()


async def test_the_producer_pattern_enqueues_a_job(names: dict[str, Any], backend: Backend):
    await run_block(backend.runs(PYTHON["PRODUCER PATTERN"]), names)
    job = await names["queue"].get(names["job_id"])
    assert (job.job_type, job.data, job.priority) == ("job_type_name", {"key": "value"}, "normal")
    assert (job.ttl, job.metadata, job.status) == (3600, {"user_id": "123"}, "pending")
    await names["queue"].close()


async def test_the_consumer_pattern_processes_a_job_and_stops(names: dict[str, Any], backend: Backend):
    async with backend.queue() as queue:
        job_id = await queue.enqueue("job_type_name", data={"n": 1}, metadata={"user_id": "123"})
        task = asyncio.create_task(run_block(PYTHON["CONSUMER PATTERN"], names | {"queue": queue}))
        job = await finished(queue, job_id)
        assert (job.status, job.results, job.message) == ("complete", {"output": "result"}, "Working...")
        assert await queue.signal_worker((await queue.workers())[0].id, "stop")
        await asyncio.wait_for(task, timeout=2 * WITHIN)


@pytest.mark.parametrize(
    ("ending", "last_words"),
    [("complete", "complete(job_id)"), ("failed", "fail(job_id, 'boom')"), ("cancelled", "cancel(job_id)")],
)
async def test_the_real_time_loop_sees_updates_and_ends_with_the_job(
    names: dict[str, Any], backend: Backend, ending: str, last_words: str
):
    async with backend.queue() as queue:
        names |= {"queue": queue, "job_id": await queue.enqueue("job_type_name")}
        watching = asyncio.create_task(run_block(PYTHON["REAL-TIME UPDATES PATTERN"], names))
        messages = map(str, count())

        async def an_update_is_seen() -> bool:
            await queue.update(names["job_id"], 0.5, next(messages))
            return "update" in names

        await eventually(an_update_is_seen)
        assert (names["update"].status, names["update"].progress) == ("pending", 0.5)
        await run_block(f"await queue.{last_words}", names)
        await asyncio.wait_for(watching, timeout=WITHIN)
        assert names["update"].status == ending


async def test_the_fastapi_pattern_serves_and_processes_jobs(backend: Backend):
    names = await run_block(backend.runs(PATTERNS["fastapi_integration"]), {})
    app = names["app"]
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
        answer = await client.post("http://app/jobs", json={"x": 1})
        job = await finished(names["queue"], answer.json()["job_id"])
        assert (job.data, job.results) == ({"x": 1}, {"done": True})
    await asyncio.wait_for(names["worker"].stop(), timeout=WITHIN)


@pytest.mark.parametrize("backend", ["sqlite", "redis"], indirect=True)  # nobody else can enqueue in memory
async def test_the_standalone_worker_processes_jobs_until_it_is_interrupted(backend: Backend):
    program = backend.runs(PATTERNS["standalone_worker"])
    [named] = re.findall(r"queue = (JobQueue\(.+\))", program)
    names = await run_block(f"queue = {named}", {"JobQueue": JobQueue})
    async with names["queue"] as queue:
        job_id = await queue.enqueue("task")
        async with running(program) as worker:
            assert (await finished(queue, job_id)).results == {"done": True}
            assert await interrupt(worker) == "KeyboardInterrupt"


def test_the_testing_pattern_passes_as_a_test():
    Path("test_pattern.py").write_text(PATTERNS["testing"])
    Path("pytest.toml").write_text('[pytest]\nasyncio_mode = "auto"\n')
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("module", "name"), [("redis", "redis"), ("aiosqlite", "sqlite")])
def test_a_missing_driver_is_the_error_of_troubleshooting(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
):
    guide = ROOT.joinpath(GUIDE).read_text(encoding="utf-8")
    advice = re.search(rf"No module named '{module}'\"\*\*\n```bash\n(.+)\n```", guide)
    assert advice is not None
    monkeypatch.setitem(sys.modules, module, None)  # as an import of it fails where it is not installed
    with pytest.raises(ModuleNotFoundError) as caught:
        JobQueue(backend=name)
    assert str(caught.value) == f"No module named '{module}': {advice[1]}"


def test_what_is_to_be_installed_exists():
    guide = ROOT.joinpath(GUIDE).read_text(encoding="utf-8")
    wanted = set(re.findall(r"pip install ([\w-]+)(?:\[(\w+)\])?", guide))
    known = metadata("jdobb-async-queue")
    assert {name for name, _ in wanted} == {known["Name"]}
    assert {extra for _, extra in wanted if extra} == {"all", "redis", "sqlite"}
    assert {"all", "redis", "sqlite"} <= set(known.get_all("Provides-Extra") or [])
