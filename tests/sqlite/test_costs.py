"""What a job costs SQLite: statements and commits, each of which waits for the disk once."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import NewJob, Worker
from jdobb_async_queue.backends.sqlite import connection
from jdobb_async_queue.backends.sqlite.connection import Reader, Writer
from jdobb_async_queue.backends.sqlite.queries import SQL

TYPE = "email"


@pytest.fixture
def ran(monkeypatch) -> list[str]:
    """Return the statements that are run by the writer, without what depends on the time."""
    monkeypatch.setattr(connection, "_LONGEST_TRANSACTION", 600.0)
    monkeypatch.setattr(connection, "_BETWEEN_FORGETTING", 3600.0)
    statements: list[str] = []
    for name in ("execute", "executemany"):
        run = getattr(Writer, name)
        monkeypatch.setattr(
            Writer, name, lambda self, sql, *a, run=run: statements.append(sql) or run(self, sql, *a)
        )
    return statements


@pytest.fixture
async def queue(open_queue, ran):
    """Return a queue that knows the job type and has looked for what is past its time."""
    queue = open_queue()
    await queue.enqueue(TYPE)
    ran.clear()
    return queue


async def test_an_enqueue_is_one_commit_and_at_most_7_statements(queue, ran):
    await queue.enqueue(TYPE)
    assert ran.count("COMMIT") == 1
    assert len(ran) <= 7


async def test_a_hundred_further_jobs_of_a_call_are_at_most_10_statements_more(queue, ran):
    await queue.enqueue_many([NewJob(job_type=TYPE) for _ in range(2)])
    few = len(ran)
    ran.clear()
    await queue.enqueue_many([NewJob(job_type=TYPE) for _ in range(102)])
    assert ran.count("COMMIT") == 1
    assert len(ran) - few <= 10


async def test_enqueues_of_100_callers_are_one_commit_and_at_most_15_statements(queue, ran):
    await asyncio.gather(*(queue.enqueue(TYPE) for _ in range(100)))
    assert ran.count("COMMIT") == 1
    assert len(ran) <= 15


async def test_a_limit_of_pending_jobs_costs_a_batch_one_statement(queue, ran):
    await queue.set_job_type(TYPE, max_pending=1000)
    ran.clear()
    await asyncio.gather(*(queue.enqueue(TYPE) for _ in range(100)))
    assert len(ran) <= 16


@pytest.mark.parametrize(("slots", "commits", "statements"), [(1, 1.1, 20), (10, 0.2, 4), (50, 0.1, 2)])
async def test_a_worker_settles_and_claims_in_the_same_commit(queue, ran, slots, commits, statements):
    jobs = 300
    worker = Worker(queue, max_concurrent=slots)
    done = []

    @worker.handler(TYPE)
    async def note(ctx):
        done.append(ctx.id)

    await queue.enqueue_many([NewJob(job_type=TYPE) for _ in range(jobs - 1)])
    ran.clear()
    await worker.run(burst=True)

    assert len(done) == jobs
    assert ran.count("COMMIT") <= commits * jobs + 10
    assert len(ran) <= statements * jobs


async def test_a_worker_hardly_ever_reads_again_what_it_wrote(queue, monkeypatch):
    jobs = 100
    read: list[str] = []
    run = Reader.execute
    monkeypatch.setattr(Reader, "execute", lambda self, sql, *a: read.append(sql) or run(self, sql, *a))
    worker = Worker(queue, max_concurrent=1)
    worker.register_handler(TYPE, nothing)
    await queue.enqueue_many([NewJob(job_type=TYPE) for _ in range(jobs - 1)])
    await worker.run(burst=True)

    assert read.count(SQL["updates_since"]) <= jobs // 4


async def nothing(ctx):
    """Do nothing."""
