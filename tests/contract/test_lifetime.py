"""A queue's own life: first use, closing, and what shares a store."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue import Broadcaster, Idempotency, JobQueue, NewJob, QueueClosed
from tests.support.jobs import claim_order, make_in_state, make_job, next_due, start_job, sweep
from tests.support.waiting import WITHIN


class TestClose:
    CALLS = {  # noqa: RUF012 - a table of calls
        "enqueue": lambda queue: queue.enqueue("email"),
        "enqueue_many": lambda queue: queue.enqueue_many([NewJob(job_type="email")]),
        "submit": lambda queue: queue.submit(NewJob(job_type="email")),
        "get": lambda queue: queue.get("a"),
        "get_many": lambda queue: queue.get_many(["a"]),
        "wait": lambda queue: queue.wait("a"),
        "list_jobs": lambda queue: queue.list_jobs(),
        "counts": lambda queue: queue.counts(),
        "stats": lambda queue: queue.stats(),
        "claim": lambda queue: queue.claim(),
        "claim_many": lambda queue: queue.claim_many(),
        "heartbeat": lambda queue: queue.heartbeat([]),
        "update": lambda queue: queue.update("a", 0.5),
        "complete": lambda queue: queue.complete("a"),
        "fail": lambda queue: queue.fail("a", "boom"),
        "release": lambda queue: queue.release("a", lease_token="t"),
        "cancel": lambda queue: queue.cancel("a"),
        "retry": lambda queue: queue.retry("a"),
        "delete": lambda queue: queue.delete("a"),
        "pause": lambda queue: queue.pause("email"),
        "resume": lambda queue: queue.resume("email"),
        "set_job_type": lambda queue: queue.set_job_type("email"),
        "job_types": lambda queue: queue.job_types(),
        "workers": lambda queue: queue.workers(),
        "maintain": lambda queue: queue.maintain(),
        "worker": lambda queue: queue.worker("w"),
        "register_worker": lambda queue: queue.register_worker("w"),
        "signal_worker": lambda queue: queue.signal_worker("w", "stop"),
        "stats_history": lambda queue: queue.stats_history(),
        "stats_errors": lambda queue: queue.stats_errors(),
        "open": lambda queue: queue.open(),
        "send": lambda queue: Broadcaster(queue).send("a"),
        "subscribe": lambda queue: anext(Broadcaster(queue).subscribe("a")),
    }

    @pytest.mark.parametrize("call", CALLS)
    async def test_a_closed_queue_refuses_every_call(self, queue, call):
        await queue.enqueue("email", job_id="a")
        await queue.close()

        with pytest.raises(QueueClosed):
            await self.CALLS[call](queue)

    async def test_closing_twice_is_harmless(self, queue):
        await queue.enqueue("email")
        await queue.close()

        await queue.close()

    async def test_closing_at_once_from_many_sides_is_harmless(self, queue):
        await queue.enqueue("email")

        await asyncio.gather(*(queue.close() for _ in range(5)))

    async def test_a_queue_that_was_never_used_may_be_closed(self, queue):
        await queue.close()

        with pytest.raises(QueueClosed):
            await queue.enqueue("email")

    async def test_closing_ends_a_waiting_claim(self, queue, waits):
        waiting = asyncio.ensure_future(queue.claim(wait=30))
        await waits.begun()

        await queue.close()

        with pytest.raises(QueueClosed):
            await asyncio.wait_for(waiting, WITHIN)

    async def test_a_queue_is_open_inside_its_block_and_closed_after_it(self, queue):
        async with queue as entered:
            assert entered is queue
            await queue.enqueue("email")

        with pytest.raises(QueueClosed):
            await queue.counts()

    async def test_first_calls_at_once_open_once(self, queue):
        ids = await asyncio.gather(*(queue.enqueue("email") for _ in range(20)))

        assert len(set(ids)) == 20
        assert await queue.counts() == {"email": {"pending": 20}}


def test_a_queue_is_built_without_an_event_loop_and_belongs_to_the_loop_of_its_first_call(
    kind, tmp_path, clock
):
    queue = JobQueue(kind.make(tmp_path, clock, "default"))

    async def use() -> None:
        await queue.enqueue("email")

    async def use_and_close() -> None:
        await use()
        await queue.close()

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        first.run_until_complete(use())
        with pytest.raises(RuntimeError, match="event loop"):
            second.run_until_complete(use())
        first.run_until_complete(use_and_close())
    finally:
        first.close()
        second.close()


class TestSharing:
    async def test_queues_on_one_store_see_the_same_jobs(self, make_queue):
        one = make_queue()
        other = make_queue(on=one, lease=5)
        job_id = await one.enqueue("email")

        job = await other.claim()

        assert job is not None
        assert job.id == job_id
        assert await one.complete(job_id, lease_token=job.lease_token)

    async def test_two_namespaces_share_nothing(self, make_queue, clock):
        one, two = make_queue(namespace="one"), make_queue(namespace="two")
        key = Idempotency(scope="s", key="k", fingerprint="f")
        await one.submit(NewJob(job_type="email", job_id="a", data={"n": 1}, unique_key="k"), idempotency=key)
        await one.pause("email")
        await one.set_job_type("email", timeout=5, max_pending=1)
        await make_in_state(one, "failed", "report")
        await start_job(one, "lost", lease=1)
        clock.advance(1)

        assert await two.get("a") is None
        assert (await two.list_jobs()).items == []
        assert (await two.counts(), await two.stats()) == ({}, {})
        assert await two.job_types() == []
        assert (await two.stats_history(), await two.stats_errors()) == ([], [])
        assert (await sweep(two)).total == 0
        assert await next_due(two, None) is None
        assert await two.claim() is None
        assert not await two.cancel("a")

        submitted = await two.submit(
            NewJob(job_type="email", job_id="a", data={"n": 2}, unique_key="k", on_conflict="reject"),
            idempotency=key,
        )
        await two.enqueue("email")
        assert submitted.created
        assert await claim_order(two) == ["a", (await two.list_jobs("processing")).items[0].id]
        assert (await one.get("a")).data == {"n": 1}
        await two.resume("email")
        assert await one.claim(["email"]) is None

    async def test_removal_in_one_namespace_leaves_the_others(self, make_queue, clock):
        one, two = make_queue(namespace="one", retention=1), make_queue(namespace="two", retention=1)
        for queue in (one, two):
            await make_in_state(queue, "complete", job_id="a")
        clock.advance(1)

        assert await one.backend.prune(100) == 1

        assert await one.get("a") is None
        assert await two.get("a") is not None

    async def test_updates_of_one_namespace_do_not_reach_another(self, make_queue):
        one, two = make_queue(namespace="one"), make_queue(namespace="two")
        for queue in (one, two):
            await queue.enqueue("email", job_id="a")
        await one.update("a", 0.5)

        assert (await two.backend.read_updates("a", 0)).updates == []
        assert (await make_job(two, "report")).version == 1
