"""What is past its time goes with the writes that come, also where no worker prunes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from jdobb_async_queue import Idempotency, JobQueue, NewJob
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from tests.support.clock import ManualClock

DAY = 86_400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
async def queue(file: Path, clock: ManualClock):
    async with JobQueue(SQLiteBackend(f"sqlite:///{file}", clock=clock)) as queue:
        yield queue


def rows(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - a name of ours


def bound(number: int) -> Idempotency:
    return Idempotency(scope="s", key=f"k{number}", fingerprint="f", keep=10)


async def test_idempotency_keys_past_their_time_go(queue, file, clock):
    for number in range(60):
        await queue.submit(NewJob(job_type="email"), idempotency=bound(number))
        clock.advance(1)

    assert rows(file, "idempotency") <= 11
    assert (await queue.submit(NewJob(job_type="email"), idempotency=bound(59))).replayed


async def test_one_write_clears_a_bounded_number_away(queue, file, clock):
    for number in range(300):
        await queue.submit(NewJob(job_type="email"), idempotency=bound(number))
    clock.advance(10)
    left = []
    for _ in range(3):
        await queue.enqueue("email")
        left.append(rows(file, "idempotency"))
        clock.advance(1)

    assert left == [50, 0, 0]


async def test_figures_older_than_a_day_go(queue, file, clock):
    for _ in range(6):
        job_id = await queue.enqueue("email")
        await queue.fail(job_id, "boom")
        clock.advance(DAY / 2)

    assert rows(file, "error_tallies") == 3
    assert rows(file, "tallies") <= 3 * 4


async def test_counters_of_types_without_jobs_go(queue, file, clock):
    for number in range(20):
        job_id = await queue.enqueue(f"type-{number}")
        await queue.cancel(job_id)
        await queue.delete(job_id)
        clock.advance(1)

    assert rows(file, "counts") <= 2


async def test_resuming_a_type_that_nobody_paused_stores_nothing(queue, file):
    for number in range(5):
        assert not (await queue.resume(f"type-{number}")).paused

    assert rows(file, "job_types") == 0
