"""Many calls in one transaction: each is answered for itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter

import pytest

from jdobb_async_queue import BackendUnavailable, DuplicateJob, JobExists, NewJob
from jdobb_async_queue.backends.sqlite.connection import Call, Writer
from jdobb_async_queue.transitions import Transition
from tests.support.waiting import WITHIN, eventually


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """Return how many calls each batch of writes has had."""
    sizes: list[int] = []
    run = Writer.run
    monkeypatch.setattr(Writer, "run", lambda self, calls: sizes.append(len(calls)) or run(self, calls))
    return sizes


async def test_calls_that_wait_together_share_a_transaction(open_queue, batches):
    queue = open_queue()
    await queue.open()
    await asyncio.gather(*(queue.enqueue("email", {"n": n}) for n in range(100)))

    assert (await queue.counts())["email"]["pending"] == 100
    assert len(batches) < 20


async def test_a_refused_call_harms_no_neighbour(open_queue):
    queue = open_queue()
    await queue.enqueue("email", {"n": 0}, job_id="taken", unique_key="k")

    calls = [queue.enqueue("email", {"n": n}) for n in range(1, 11)]
    calls.insert(3, queue.enqueue("email", {"n": 99}, job_id="taken"))
    calls.insert(7, queue.enqueue("email", unique_key="k", on_conflict="reject"))
    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(answers[3], JobExists)
    assert isinstance(answers[7], DuplicateJob)
    assert len([answer for answer in answers if isinstance(answer, str)]) == 10
    assert (await queue.counts())["email"]["pending"] == 11


async def test_an_operation_that_breaks_takes_nothing_of_its_neighbours_with_it(open_queue):
    queue = open_queue()
    await queue.open()

    def broken(transaction):
        transaction.write("insert_namespace", "half done")
        raise ZeroDivisionError

    good = [queue.enqueue("email") for _ in range(5)]
    bad = queue.backend._writes.call(Call(broken))
    answers = await asyncio.gather(
        *good, bad, *[queue.enqueue("email") for _ in range(5)], return_exceptions=True
    )

    assert [type(answer) for answer in answers].count(ZeroDivisionError) == 1
    assert (await queue.counts())["email"]["pending"] == 10
    assert await names_of_namespaces(queue) == ["default"]


async def test_a_call_meets_what_others_of_its_batch_stored(open_queue, batches):
    queue = open_queue()
    await queue.open()
    calls = (
        queue.enqueue("email", {"n": 1}, job_id="a"),
        queue.enqueue("email", {"n": 2}, job_id="a"),
        queue.enqueue("email", unique_key="k", job_id="b"),
        queue.enqueue("email", unique_key="k"),
        queue.enqueue("email", job_id="c"),
        queue.claim_many(["email"], 10),
        queue.complete("a"),
        queue.delete("a"),
        queue.enqueue("email", {"n": 2}, job_id="a"),
    )
    first, other, key, same_key, last, claimed, *done = await asyncio.gather(*calls, return_exceptions=True)

    assert batches == [len(calls)]
    assert (first, key, same_key, last) == ("a", "b", "b", "c")
    assert isinstance(other, JobExists)
    assert [job.id for job in claimed] == ["a", "b", "c"]
    assert done == [True, True, "a"]
    assert (await queue.get("a")).status == "pending"
    assert await queue.counts() == {"email": {"pending": 1, "processing": 2}}


async def test_a_job_may_move_more_than_once_in_a_call(open_queue):
    queue = open_queue()
    await queue.enqueue("email", job_id="a")
    claimed = await queue.claim(["email"])
    answers = await queue.backend.apply(
        [
            Transition.report("a", 0.5, "half", lease_token=claimed.lease_token),
            Transition.release("a", lease_token=claimed.lease_token),
            Transition.report("a", 0.7, "by hand"),
            Transition.report("unknown", 0.7, None),
        ]
    )

    assert [answer.outcome for answer in answers] == ["ok", "ok", "ok", "unknown"]
    job = await queue.get("a")
    assert (job.status, job.progress, job.message) == ("pending", 0.7, "by hand")
    page = await queue.backend.read_updates("a", 0)
    assert [update.progress for update in page.updates] == [0.0, 0.5, 0.5, 0.7]


@pytest.mark.parametrize("jobs", [1, 31, 32, 33, 100])
async def test_jobs_of_one_call_keep_their_order(open_queue, jobs):
    queue = open_queue()
    ids = await queue.enqueue_many([NewJob(job_type="email", data={"n": n}) for n in range(jobs)])
    claimed = await queue.claim_many(["email"], jobs)

    assert [(job.id, job.data) for job in claimed] == [(job_id, {"n": n}) for n, job_id in enumerate(ids)]


async def names_of_namespaces(queue) -> list[str]:
    with sqlite3.connect(queue.backend.path) as reader:
        found = reader.execute("SELECT name FROM namespaces").fetchall()
    reader.close()
    return [name for (name,) in found]


async def test_a_batch_of_jobs_that_is_refused_leaves_no_counters_behind(open_queue):
    queue = open_queue()
    await queue.enqueue("email", job_id="taken", data={"n": 1})
    jobs = [NewJob(job_type="email")] * 40 + [NewJob(job_type="sms")]
    jobs.append(NewJob(job_type="email", job_id="taken"))
    with pytest.raises(JobExists):
        await queue.enqueue_many(jobs)

    assert await queue.counts() == {"email": {"pending": 1}}
    assert await recount(queue) == {("email", "pending"): 1}


async def recount(queue) -> Counter:
    with sqlite3.connect(queue.backend.path) as reader:
        found = reader.execute("SELECT job_type, status, count(*) FROM jobs GROUP BY 1, 2").fetchall()
    reader.close()
    return Counter({(job_type, status): n for job_type, status, n in found})


async def test_counters_equal_a_recount_after_a_mixed_history(open_queue):
    queue = open_queue()
    for n in range(120):
        await queue.enqueue(("email", "sms", "fax")[n % 3], {"n": n}, max_attempts=1 + n % 2)
    for n in range(90):
        job = await queue.claim()
        match n % 5:
            case 0:
                await queue.complete(job.id, lease_token=job.lease_token)
            case 1:
                await queue.fail(job.id, "boom", lease_token=job.lease_token)
            case 2:
                await queue.cancel(job.id)
                await queue.retry(job.id)
            case 3:
                await queue.complete(job.id)
                await queue.delete(job.id)
            case 4:
                await queue.release(job.id, lease_token=job.lease_token)

    counted = {
        (job_type, status): n
        for job_type, found in (await queue.counts()).items()
        for status, n in found.items()
    }
    assert counted == await recount(queue)


async def test_a_claim_whose_caller_has_gone_gives_its_job_back(open_queue):
    queue = open_queue()
    job_id = await queue.enqueue("email")
    for _ in range(50):
        claim = asyncio.ensure_future(queue.claim(["email"]))
        await asyncio.sleep(0)
        claim.cancel()
        await asyncio.wait([claim])

    async def is_back():
        return (await queue.get(job_id)).status == "pending"

    await eventually(is_back)
    assert (await queue.claim(["email"])).id == job_id


async def test_a_cancelled_caller_harms_no_neighbour(open_queue):
    queue = open_queue()
    await queue.open()
    calls = [asyncio.ensure_future(queue.enqueue("email", {"n": n})) for n in range(50)]
    await asyncio.sleep(0)
    for call in calls[::5]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)

    acknowledged = [answer for answer in answers if isinstance(answer, str)]
    assert len(acknowledged) == 40
    assert None not in await queue.get_many(acknowledged)


async def test_a_full_disk_is_told_and_work_goes_on_when_there_is_room_again(open_queue):
    queue = open_queue()
    await queue.enqueue("email")
    writer = queue.backend._connections[0]

    def limit(transaction, pages):
        return transaction._execute(f"PRAGMA max_page_count={pages}").fetchone()

    assert isinstance(writer, Writer)
    (pages,) = await queue.backend._writes.call(Call(lambda transaction: limit(transaction, 1)))
    with pytest.raises(BackendUnavailable, match="full"):
        await queue.enqueue("email", {"text": "x" * 500_000})
    assert (await queue.counts())["email"]["pending"] == 1
    assert pages > 1
    await queue.backend._writes.call(Call(lambda transaction: limit(transaction, 1_000_000)))

    await queue.enqueue("email", {"text": "x" * 500_000})
    assert (await queue.counts())["email"]["pending"] == 2


async def test_calls_after_the_backend_was_closed_are_refused(open_queue):
    queue = open_queue()
    await queue.enqueue("email")
    backend = queue.backend
    await queue.close()

    with pytest.raises(BackendUnavailable, match="not open"):
        await backend.counts()


async def test_closing_finishes_what_was_called(open_queue):
    queue = open_queue()
    await queue.open()
    calls = [asyncio.ensure_future(queue.enqueue("email", {"n": n})) for n in range(300)]
    await asyncio.sleep(0)
    await queue.close()
    ids = await asyncio.gather(*calls)

    assert len(await open_queue().get_many(ids)) == 300


async def test_a_locked_file_is_waited_for(open_queue, file):
    queue = open_queue()
    await queue.open()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    call = asyncio.ensure_future(queue.enqueue("email"))
    done, _ = await asyncio.wait([call], timeout=0.2)
    assert not done
    other.execute("ROLLBACK")
    other.close()

    assert (await queue.get(await asyncio.wait_for(call, WITHIN))).status == "pending"


async def test_a_long_reader_stops_no_writer(open_queue, file):
    queue = open_queue()
    await queue.enqueue("email")
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM jobs").fetchall()
    for n in range(200):
        await queue.enqueue("email", {"n": n})

    assert (await queue.counts())["email"]["pending"] == 201
    reader.close()
