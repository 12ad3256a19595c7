"""What may go wrong around a commit, and at the ends of a connection's life."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from jdobb_async_queue import BackendError, SchemaTooNew
from jdobb_async_queue.backends.sqlite.connection import Call, Writer
from tests.support.waiting import WITHIN


async def test_a_wake_file_that_cannot_be_written_repeats_no_commit(open_queue, monkeypatch):
    queue = open_queue()
    await queue.open()
    wake = queue.backend._wake

    def broken(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wake, "signal", broken)
    ids = await asyncio.gather(*(queue.enqueue("email", {"n": n}) for n in range(10)))

    assert len(set(ids)) == 10
    assert await queue.counts() == {"email": {"pending": 10}}


async def test_a_checkpoint_that_fails_repeats_no_commit(open_queue, monkeypatch):
    queue = open_queue()
    await queue.open()

    def broken(_):
        raise sqlite3.DatabaseError("disk I/O error")

    monkeypatch.setattr("jdobb_async_queue.backends.sqlite.connection._CHANGES_PER_CHECKPOINT", 1)
    monkeypatch.setattr(Writer, "checkpoint", broken)
    ids = await asyncio.gather(*(queue.enqueue("email", {"n": n}) for n in range(10)))

    assert await queue.counts() == {"email": {"pending": 10}}
    assert None not in await queue.get_many(ids)


async def test_a_reading_that_breaks_harms_no_neighbour(open_queue):
    queue = open_queue()
    job_id = await queue.enqueue("email")

    def broken(_):
        raise ZeroDivisionError

    found, error, again = await asyncio.gather(
        queue.get(job_id), queue.backend._reads.call(Call(broken)), queue.get(job_id), return_exceptions=True
    )

    assert isinstance(error, ZeroDivisionError)
    assert found.id == again.id == job_id


async def test_another_programs_file_keeps_every_byte(open_queue, file):
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA auto_vacuum=FULL")
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    before = file.read_bytes()

    with pytest.raises(BackendError, match="not one of jdobb-async-queue"):
        await open_queue().enqueue("email")
    assert file.read_bytes() == before


async def test_a_newer_releases_file_keeps_every_byte(open_queue, file):
    first = open_queue()
    await first.enqueue("email")
    await first.close()
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version=2000")
        newer.execute("PRAGMA journal_mode=DELETE")
    newer.close()
    before = file.read_bytes()

    with pytest.raises(SchemaTooNew, match="newer release"):
        await open_queue().enqueue("email")
    assert file.read_bytes() == before


async def test_cancelling_every_task_neither_loses_nor_hangs_a_call(open_queue):
    queue = open_queue()
    await queue.open()
    for _ in range(20):
        future = asyncio.get_running_loop().create_future()

        async def call(future=future):
            future.set_result(await queue.backend._writes.call(Call(lambda _: "done")))

        waiting = asyncio.ensure_future(call())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for runner in queue.backend._writes._tasks:
            runner.cancel()
        assert await asyncio.wait_for(future, WITHIN) == "done"
        await waiting


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(lambda writes: writes._begin(writes._work), id="work"),
        pytest.param(lambda writes: writes._tidy(), id="tidy"),
    ],
)
async def test_a_task_that_is_cancelled_before_its_first_step_loses_no_call_and_no_end(open_queue, begin):
    queue = open_queue()
    await queue.open()
    writes = queue.backend._writes
    await asyncio.wait_for(writes.call(Call(lambda _: "first")), WITHIN)

    begin(writes)
    calling = asyncio.ensure_future(writes.call(Call(lambda _: "second")))
    for task in writes._tasks:
        task.cancel()

    assert await asyncio.wait_for(calling, WITHIN) == "second"
    await asyncio.wait_for(queue.close(), WITHIN)


async def test_closing_ends_also_right_after_its_task_was_cancelled(open_queue):
    queue = open_queue()
    await queue.open()
    writes = queue.backend._writes
    writes._begin(writes._work)
    for task in writes._tasks:
        task.cancel()

    await asyncio.wait_for(queue.close(), WITHIN)


ABRUPT = """
import asyncio, sys
from jdobb_async_queue import JobQueue

async def main():
    queue = JobQueue("sqlite", url=sys.argv[1])
    await queue.open()
    for n in range(200):
        asyncio.ensure_future(queue.enqueue_many([NEW] * 100))
    await asyncio.sleep(0.01)

from jdobb_async_queue import NewJob
NEW = NewJob(job_type="email", data={"text": "x" * 2000})
asyncio.run(main())
"""


def test_a_loop_that_ends_amid_writing_leaves_no_traceback(file: Path):
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", ABRUPT, f"sqlite:///{file}"],
            capture_output=True, text=True, timeout=WITHIN, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        assert "Exception in thread" not in done.stderr
        assert "never retrieved" not in done.stderr
