"""Several processes on one file, some of them killed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from jdobb_async_queue import Broadcaster, JobQueue
from jdobb_async_queue.backends.bells import CANCELLED
from jdobb_async_queue.backends.sqlite.wake import WakeFile, Watcher
from jdobb_async_queue.errors import ForkedProcess
from tests.support.jobs import get_job
from tests.support.waiting import WITHIN, eventually, until

SPAWN = multiprocessing.get_context("spawn")
CLAIMER = """
import asyncio, sys
from jdobb_async_queue import JobQueue

async def main():
    async with JobQueue("sqlite", url=sys.argv[1]) as queue:
        async def claim():
            while (job := await queue.claim(["email"])) is not None:
                print(job.id, flush=True)
                await queue.complete(job.id, lease_token=job.lease_token)
        await asyncio.gather(*(claim() for _ in range(10)))

asyncio.run(main())
"""
OPENER = """
import asyncio, sys
from jdobb_async_queue import JobQueue

async def main():
    async with JobQueue("sqlite", url=sys.argv[1], namespace=sys.argv[2]) as queue:
        await queue.enqueue("email")

asyncio.run(main())
"""
PRODUCER = """
import asyncio, os, sys
from jdobb_async_queue import JobQueue

log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def main():
    async with JobQueue("sqlite", url=sys.argv[1]) as queue:
        async def live():
            while True:
                job_id = await queue.enqueue("email", {"text": "x" * 200})
                os.write(log, f"E {job_id}\\n".encode())
                job = await queue.claim(["email"])
                if job and await queue.complete(job.id, {"ok": True}, lease_token=job.lease_token):
                    os.write(log, f"C {job.id}\\n".encode())
        await asyncio.gather(*(live() for _ in range(20)))

asyncio.run(main())
"""


def run(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)


async def test_three_processes_claim_each_job_exactly_once(open_queue, file):
    queue = open_queue()
    ids = await asyncio.gather(*(queue.enqueue("email", {"n": n}) for n in range(900)))
    claimers = [run(CLAIMER, f"sqlite:///{file}") for _ in range(3)]
    outputs = [await asyncio.to_thread(claimer.communicate) for claimer in claimers]
    claimed = [line for output, _ in outputs for line in output.split()]

    assert Counter(claimed) == dict.fromkeys(ids, 1)
    assert (await queue.counts())["email"] == {"complete": 900}


async def test_two_processes_may_create_the_file_at_once(file):
    openers = [run(OPENER, f"sqlite:///{file}", name) for name in ("one", "one", "two", "two")]
    codes = [await asyncio.to_thread(opener.wait) for opener in openers]
    for opener in openers:
        opener.stdout.close()

    assert codes == [0, 0, 0, 0]
    for name in ("one", "two"):
        async with JobQueue("sqlite", url=f"sqlite:///{file}", namespace=name) as queue:
            assert (await queue.counts())["email"] == {"pending": 2}


def test_what_was_acknowledged_survives_kill_9(file, tmp_path):
    log = tmp_path / "acknowledged"
    for _ in range(4):
        producers = [run(PRODUCER, f"sqlite:///{file}", str(log)) for _ in range(2)]
        wait_for_growth(log)
        for producer in producers:
            producer.send_signal(signal.SIGKILL)
            producer.wait()
            producer.stdout.close()

    lines = [line.split() for line in log.read_text().splitlines() if len(line) == len("E ") + 36]
    enqueued = {job_id for kind, job_id in lines if kind == "E"}
    completed = {job_id for kind, job_id in lines if kind == "C"}
    with sqlite3.connect(file) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = dict(reader.execute("SELECT id, status FROM jobs").fetchall())
        announced = Counter(
            job_id
            for (job_id,) in reader.execute(
                "SELECT j.id FROM updates u JOIN jobs j ON j.seq = u.job WHERE u.status = 'complete'"
            )
        )
        counted = dict(reader.execute("SELECT status, sum(n) FROM counts GROUP BY 1").fetchall())
    reader.close()

    assert len(enqueued) > 100
    assert enqueued <= stored.keys()
    assert {stored[job_id] for job_id in completed} == {"complete"}
    assert announced == {job_id: 1 for job_id, status in stored.items() if status == "complete"}
    assert {status: n for status, n in counted.items() if n} == Counter(stored.values())


def wait_for_growth(log: Path) -> None:
    before = log.stat().st_size if log.exists() else 0
    until(lambda: log.exists() and log.stat().st_size >= before + 4000)


async def test_a_watcher_is_woken_by_another_queue_on_the_file(open_queue):
    here, elsewhere = open_queue(), open_queue()
    job_id = await elsewhere.enqueue("email")
    await here.open()
    with here.backend.watch([f"job:{job_id}"]) as bell:
        await elsewhere.update(job_id, 0.5)

        assert await bell.wait(WITHIN)


async def test_a_waiting_claim_is_woken_by_another_queue_on_the_file(open_queue):
    here, elsewhere = open_queue(), open_queue()
    await here.open()
    with here.backend.watch(["type:email"]) as bell:
        await elsewhere.enqueue("email")

        assert await bell.wait(WITHIN)


async def test_a_cancellation_elsewhere_rings_for_those_who_run_jobs(open_queue):
    here, elsewhere = open_queue(), open_queue()
    await here.enqueue("email")
    job = await here.claim()
    with here.backend.watch([CANCELLED]) as bell:
        bell.clear()
        assert await elsewhere.cancel(job.id)

        assert await bell.wait(WITHIN)


async def test_updates_are_watched_from_another_queue_on_the_file(open_queue):
    here, elsewhere = open_queue(), open_queue()
    job_id = await elsewhere.enqueue("email")
    seen: list[float] = []

    async def watch():
        seen.extend([update.progress async for update in Broadcaster(here).subscribe(job_id, after=0)])

    watching = asyncio.ensure_future(watch())
    job = await elsewhere.claim()
    for step in (0.25, 0.5, 0.75):
        await elsewhere.update(job_id, step, lease_token=job.lease_token)
    await elsewhere.complete(job_id, lease_token=job.lease_token)
    await asyncio.wait_for(watching, WITHIN)

    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("inotify", [True, False])
async def test_the_wake_file_tells_what_kind_of_change_there_was(tmp_path, inotify):
    ours, theirs = WakeFile(str(tmp_path / "wake")), WakeFile(str(tmp_path / "wake"))
    heard: list[str] = []
    watcher = Watcher(ours, lambda: heard.append("ready"), lambda: heard.append("updates"), inotify=inotify)
    assert watcher.polls is (not inotify)

    async def heard_both():
        return heard == ["ready", "updates"]

    async def heard_one():
        return heard == ["ready"]

    theirs.signal(ready=True, updates=False)
    await eventually(heard_one)
    theirs.signal(ready=False, updates=True)
    await eventually(heard_both)
    theirs.signal(ready=False, updates=False)
    watcher.close()
    ours.close()
    theirs.close()

    assert heard == ["ready", "updates"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_forked_child_is_told_and_harms_nothing(open_queue):
    queue = open_queue()
    job_id = await queue.enqueue("email")
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        verdict = "nothing was raised"
        try:
            queue.backend._read(lambda _: None).send(None)
        except ForkedProcess as error:
            verdict = str(error)
        finally:
            os.write(outlet, json.dumps(verdict).encode())
            os._exit(0)
    os.close(outlet)
    await asyncio.to_thread(os.waitpid, child, 0)
    with os.fdopen(inlet) as told:
        verdict = json.loads(told.read())

    assert "forked" in verdict
    assert (await get_job(queue, job_id)).status == "pending"


STRESS = """
import asyncio, sys
from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.sqlite import SQLiteBackend, connection

connection._CHANGES_PER_CHECKPOINT = 20

async def main():
    stored = 0
    async with JobQueue(SQLiteBackend(sys.argv[1], durability="normal")) as queue:
        while sum((await queue.counts()).get("email", {}).values()) < 5000:
            await asyncio.gather(*(queue.enqueue("email", {"n": n}) for n in range(10)))
            stored += 10
    print(stored)

asyncio.run(main())
"""


def test_checkpoints_of_two_processes_under_load_lose_nothing(file):
    stressing = [run(STRESS, f"sqlite:///{file}") for _ in range(2)]
    stored = sum(int(process.communicate()[0]) for process in stressing)
    with sqlite3.connect(file) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (stored,)
    reader.close()
    assert stored >= 5000


SHORT_LIVED = """
import asyncio, os, sys
from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.sqlite import connection

connection._CHANGES_PER_CHECKPOINT = 250

async def main():
    queue = JobQueue("sqlite", url=sys.argv[1])
    for n in range(10):
        await queue.enqueue("email", {"n": n})
    os._exit(0)

asyncio.run(main())
"""


def test_opening_a_database_moves_nothing_from_its_log_into_it(file):
    filler = SHORT_LIVED.replace("range(10)", "range(200)").replace("= 250", "= 100_000")
    opener = SHORT_LIVED.replace('await queue.enqueue("email", {"n": n})', "await queue.open()")
    run(filler, f"sqlite:///{file}").communicate()
    before = file.read_bytes()
    run(opener, f"sqlite:///{file}").communicate()

    assert file.with_name(f"{file.name}-wal").stat().st_size > 1000 * 4096
    assert file.read_bytes() == before


def test_the_log_stays_bounded_although_no_process_lives_until_its_checkpoint(file):
    sizes = []
    for _ in range(10):
        run(SHORT_LIVED, f"sqlite:///{file}").communicate()
        sizes.append(file.with_name(f"{file.name}-wal").stat().st_size)

    assert sizes[-1] < 2 * sizes[1]


def test_a_program_that_forgets_to_close_still_ends(file):
    script = (
        "import asyncio, sys\n"
        "from jdobb_async_queue import JobQueue\n"
        "async def main():\n"
        "    await JobQueue('sqlite', url=sys.argv[1]).enqueue('email')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"sqlite:///{file}"],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
