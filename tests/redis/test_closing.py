"""A queue ends in bounded time, whatever Redis does, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import weakref

import pytest

from jdobb_async_queue import BackendUnavailable, Broadcaster, ForkedProcess, QueueClosed
from jdobb_async_queue.backends.redis import RedisBackend, backend
from tests.support.jobs import TYPE, get_job, make_job
from tests.support.waiting import WITHIN, eventually

FORKING = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


async def watching(queue, job_id):
    """Follow a job until its end, or that of the queue."""
    updates = []
    try:
        async for update in Broadcaster(queue).subscribe(job_id):
            updates.append(update)  # noqa: PERF401 - what came before an error is wanted too
    except (BackendUnavailable, QueueClosed):
        pass
    return updates


async def in_use(queue):
    """Return tasks that use each kind of connection, once these are open."""
    job = await make_job(queue)
    tasks = [
        asyncio.ensure_future(watching(queue, job.id)),
        asyncio.ensure_future(queue.claim(["other"], wait=60)),
    ]

    async def are_open():
        is_subscribed = len(queue.backend._hub._subscribed) == 1
        return is_subscribed and {"Hub._run", "Waker._run", "CallPool.call"} <= set(background())

    await eventually(are_open)
    return tasks


def background():
    """Return the names of what the backend runs by itself."""
    names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
    ours = ("Hub", "Waker", "Lane", "Connection", "CallPool", "Redis")
    return sorted(name for name in names if name.startswith(ours))


async def test_closing_leaves_no_task_and_no_connection(queue, proxy):
    using = await in_use(queue)

    await queue.close()
    await asyncio.gather(*using, return_exceptions=True)

    async def nothing_left():
        return proxy.connections == 0

    await eventually(nothing_left)
    assert background() == []
    gc.collect()  # a socket that is still open would warn


async def test_closing_twice_is_fine(queue):
    await queue.enqueue(TYPE)

    await queue.close()
    await queue.close()
    await queue.backend.close()

    with pytest.raises(QueueClosed):
        await queue.enqueue(TYPE)
    with pytest.raises(BackendUnavailable):
        await queue.backend.get(["none"])


async def test_closing_finishes_what_was_called(queue, direct, proxy, monkeypatch):
    monkeypatch.setattr(backend, "_CLOSE_WITHIN", WITHIN)
    await queue.open()
    proxy.delay = 0.1
    calls = [asyncio.ensure_future(queue.enqueue(TYPE)) for _ in range(100)]
    await asyncio.sleep(0)

    await queue.close()

    assert len({await call for call in calls}) == 100
    assert await direct.counts() == {TYPE: {"pending": 100}}


async def closes_soon(queue, calls):
    """Close with these calls in flight: all of them are refused."""
    await asyncio.wait(calls, timeout=0.05)

    await asyncio.wait_for(queue.close(), WITHIN)

    for call in calls:
        with pytest.raises(BackendUnavailable):
            await call


async def test_closing_while_redis_is_silent_ends_soon(queue, proxy):
    using = await in_use(queue)
    proxy.fall_silent()
    calls = [asyncio.ensure_future(queue.enqueue(TYPE)) for _ in range(100)]
    calls += [
        asyncio.ensure_future(call) for call in (queue.counts(), queue.claim([TYPE]), queue.list_jobs())
    ]

    await closes_soon(queue, calls)
    await asyncio.gather(*using, return_exceptions=True)
    assert proxy.lost == 0


async def test_closing_while_redis_is_gone_ends_soon(open_queue, server):
    queue = open_queue(server.url)
    await queue.open()
    server.kill()
    calls = [asyncio.ensure_future(queue.enqueue(TYPE)) for _ in range(100)]

    await closes_soon(queue, calls)


async def test_a_backend_can_be_opened_again(queue):
    job = await make_job(queue)
    backend = queue.backend
    await backend.close()

    await backend.open()

    [record] = await backend.get([job.id])
    assert record.id == job.id
    with backend.watch([f"job:{job.id}"]) as bell:
        assert await bell.wait(WITHIN)


@pytest.mark.parametrize("turns", range(4))
def test_a_loop_that_ends_leaves_no_caller_waiting(open_queue, shared, turns):
    queue = open_queue(shared.url)
    told = []

    async def enqueue():
        try:
            await queue.enqueue(TYPE)
        except BackendUnavailable as error:
            told.append(str(error))
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async def main():
        await queue.open()
        calling = asyncio.ensure_future(enqueue())
        for _ in range(turns):
            await asyncio.sleep(0)
        own = asyncio.current_task()
        for task in asyncio.all_tasks() - {own, calling}:
            task.cancel()
        await asyncio.wait([calling], timeout=WITHIN)
        assert calling.done()
        await queue.close()

    asyncio.run(main())


@FORKING
async def test_a_forked_child_is_told_and_harms_nothing(open_queue, shared):
    queue = open_queue(shared.url)
    job = await make_job(queue)
    with queue.backend.watch([f"job:{job.id}", "type:other"]) as bell:
        assert await bell.wait(WITHIN)  # subscribed
        inlet, outlet = os.pipe()
        child = os.fork()
        if child == 0:
            verdicts = ["it did not come to that"] * 3
            try:
                for place, use in enumerate((in_child_call, in_child_watch, in_child_close)):
                    try:
                        verdicts[place] = use(queue.backend)
                    except ForkedProcess as error:
                        verdicts[place] = str(error)
                gc.collect()
            finally:
                os.write(outlet, json.dumps(verdicts).encode())
                os._exit(0)
        os.close(outlet)
        await asyncio.to_thread(os.waitpid, child, 0)
        with os.fdopen(inlet) as told:
            call, watch, close = json.loads(told.read())

        assert "forked" in call
        assert "forked" in watch
        assert close == "closed at once"
        bell.clear()
        assert await queue.cancel(job.id)
        assert await bell.wait(WITHIN)
        assert (await get_job(queue, job.id)).status == "cancelled"


def in_child_call(backend):
    backend.get(["none"]).send(None)
    return "nothing was raised"


def in_child_watch(backend):
    with backend.watch(["job:none"]):
        return "nothing was raised"


def in_child_close(backend):
    try:
        backend.close().send(None)
    except StopIteration:
        return "closed at once"
    return "waited for its parent's connections"


@FORKING
async def test_a_forked_child_does_not_lose_connections_that_would_be_closed_then(shared, namespace):
    backend = RedisBackend(shared.url, namespace=namespace)
    await backend.open()
    kept = [weakref.ref(pool) for pool in backend.connections()]
    child = os.fork()
    if child == 0:
        try:
            del backend
            gc.collect()
        finally:
            os._exit(sum(pool() is None for pool in kept))
    _, lost = await asyncio.to_thread(os.waitpid, child, 0)
    await backend.close()

    assert kept
    assert lost == 0
