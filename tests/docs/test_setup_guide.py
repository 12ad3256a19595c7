"""The user's setup guide works: its code runs word for word, on each backend that it names."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import metadata
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from jdobb_async_queue import Job, JobQueue
from tests.docs.blocks import ROOT, run_block
from tests.docs.programs import interrupt, running
from tests.docs.setup_guide import GUIDE, PATTERNS, PYTHON, QUEUES, pieces, prompt_section
from tests.support.jobs import eventually

NEXT_RELEASE = {"redis"}
"""Backends that are not there yet. The pieces below name one; they compile now, and run when it is there."""
WAITING = {"PRODUCER PATTERN", "fastapi_integration", "standalone_worker", "backends.redis"}

BACKENDS = [name for name in QUEUES if name not in NEXT_RELEASE]
REDIS = 'JobQueue(backend="redis", url="redis://localhost")'

on_each_backend = pytest.mark.parametrize("backend", BACKENDS)


def on(backend: str, text: str) -> str:
    """Return a piece that names redis with another backend in its place, named in the guide's words."""
    assert text.count(REDIS) == 1
    return text if backend == "redis" else text.replace(REDIS, QUEUES[backend])


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


@asynccontextmanager
async def queue_of(backend: str) -> AsyncIterator[JobQueue]:
    """Return the queue that the guide names for a backend."""
    names = await run_block(f"queue = {QUEUES[backend]}", {"JobQueue": JobQueue})
    queue: JobQueue = names["queue"]
    async with queue:
        yield queue


async def finished(queue: JobQueue, job_id: str) -> Job:
    return await queue.wait(job_id, timeout=10)


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


def test_what_waits_for_the_next_release_is_exactly_what_names_its_backend():
    waiting = {
        name: text
        for name, text in pieces().items()
        for backend in NEXT_RELEASE
        if f'JobQueue(backend="{backend}"' in text
    }
    assert set(waiting) == WAITING
    for name, text in waiting.items():
        compile(text, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.mark.parametrize("backend", sorted(NEXT_RELEASE))
def test_a_backend_of_the_next_release_is_not_there_yet(backend: str):
    with pytest.raises((NotImplementedError, ModuleNotFoundError)):
        JobQueue(backend=backend)


@on_each_backend
async def test_steps_3_and_4_create_a_queue_and_a_worker_and_enqueue_a_job(backend: str):
    create, enqueue = PYTHON["Step 3: Create Queue and Worker"], PYTHON["Step 4: Enqueue Jobs"]
    assert '# or "redis", "sqlite"' in create
    names = await run_block(create.replace('"memory"', f'"{backend}"'), {})
    task = asyncio.create_task(names["worker"].run())  # the guide: `# await worker.run()` at your start-up
    await run_block(enqueue, names)
    job = await finished(names["queue"], names["job_id"])
    assert (job.status, job.data, job.results) == ("complete", {"input": "value"}, {"status": "done"})
    await names["worker"].stop()
    await task
    await names["queue"].close()


@on_each_backend
async def test_the_producer_pattern_enqueues_a_job(names: dict[str, Any], backend: str):
    await run_block(on(backend, PYTHON["PRODUCER PATTERN"]), names)
    job = await names["queue"].get(names["job_id"])
    assert (job.job_type, job.data, job.priority) == ("job_type_name", {"key": "value"}, "normal")
    assert (job.ttl, job.metadata, job.status) == (3600, {"user_id": "123"}, "pending")
    await names["queue"].close()


@on_each_backend
async def test_the_consumer_pattern_processes_a_job_and_stops(names: dict[str, Any], backend: str):
    async with queue_of(backend) as queue:
        job_id = await queue.enqueue("job_type_name", data={"n": 1}, metadata={"user_id": "123"})
        task = asyncio.create_task(run_block(PYTHON["CONSUMER PATTERN"], names | {"queue": queue}))
        job = await finished(queue, job_id)
        assert (job.status, job.results, job.message) == ("complete", {"output": "result"}, "Working...")
        assert await queue.signal_worker((await queue.workers())[0].id, "stop")
        await asyncio.wait_for(task, timeout=10)


@on_each_backend
@pytest.mark.parametrize(
    ("ending", "last_words"),
    [("complete", "complete(job_id)"), ("failed", "fail(job_id, 'boom')"), ("cancelled", "cancel(job_id)")],
)
async def test_the_real_time_loop_sees_updates_and_ends_with_the_job(
    names: dict[str, Any], backend: str, ending: str, last_words: str
):
    async with queue_of(backend) as queue:
        names |= {"queue": queue, "job_id": await queue.enqueue("job_type_name")}
        watching = asyncio.create_task(run_block(PYTHON["REAL-TIME UPDATES PATTERN"], names))
        messages = map(str, count())

        async def an_update_is_seen() -> bool:
            await queue.update(names["job_id"], 0.5, next(messages))
            return "update" in names

        await eventually(an_update_is_seen)
        assert (names["update"].status, names["update"].progress) == ("pending", 0.5)
        await run_block(f"await queue.{last_words}", names)
        await asyncio.wait_for(watching, timeout=10)
        assert names["update"].status == ending


@on_each_backend
async def test_the_fastapi_pattern_serves_and_processes_jobs(backend: str):
    names = await run_block(on(backend, PATTERNS["fastapi_integration"]), {})
    app = names["app"]
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
        answer = await client.post("http://app/jobs", json={"x": 1})
        job = await finished(names["queue"], answer.json()["job_id"])
        assert (job.data, job.results) == ({"x": 1}, {"done": True})
    await asyncio.wait_for(names["worker"].stop(), timeout=10)


async def test_the_standalone_worker_processes_jobs_until_it_is_interrupted():
    async with queue_of("sqlite") as queue:  # another process cannot enqueue in memory
        job_id = await queue.enqueue("task")
        async with running(on("sqlite", PATTERNS["standalone_worker"])) as worker:
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


@pytest.mark.parametrize(("module", "backend"), [("redis", "redis"), ("aiosqlite", "sqlite")])
def test_a_missing_driver_is_the_error_of_troubleshooting(
    module: str, backend: str, monkeypatch: pytest.MonkeyPatch
):
    guide = ROOT.joinpath(GUIDE).read_text(encoding="utf-8")
    advice = re.search(rf"No module named '{module}'\"\*\*\n```bash\n(.+)\n```", guide)
    assert advice is not None
    monkeypatch.setitem(sys.modules, module, None)  # as an import of it fails where it is not installed
    with pytest.raises(ModuleNotFoundError) as caught:
        JobQueue(backend=backend)
    assert str(caught.value) == f"No module named '{module}': {advice[1]}"


def test_what_is_to_be_installed_exists():
    guide = ROOT.joinpath(GUIDE).read_text(encoding="utf-8")
    wanted = set(re.findall(r"pip install ([\w-]+)(?:\[(\w+)\])?", guide))
    known = metadata("jdobb-async-queue")
    assert {name for name, _ in wanted} == {known["Name"]}
    assert {extra for _, extra in wanted if extra} == {"all", "redis", "sqlite"}
    assert {"all", "redis", "sqlite"} <= set(known.get_all("Provides-Extra") or [])
