"""How fast a worker drains a queue, how soon an idle one starts, and whether a backlog slows it down.

    python bench/drain.py memory://
    python bench/drain.py sqlite:///bench.db --jobs 5000

Figures of one run on one machine stand side by side; compare ratios, not runs. A ``sqlite`` URL must name a
file that does not exist yet.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from jdobb_async_queue import JobContext, JobQueue, JobRouter, Worker

PAYLOAD = {"path": "/data/in/file.pdf", "options": {"pages": [1, 2, 3], "dpi": 300}, "note": "x" * 20}

router = JobRouter()
started: list[asyncio.Future[float]] = []


@router.handler("noop")
async def noop(_ctx: JobContext) -> None:
    """Do nothing."""


@router.handler("wait")
async def wait(_ctx: JobContext) -> None:
    """Wait 10 ms, as a job that calls another service does."""
    await asyncio.sleep(0.01)


@router.handler("note")
async def note(_ctx: JobContext) -> None:
    """Note when it started."""
    started.pop().set_result(time.perf_counter())


def new_worker(queue: JobQueue, slots: int) -> Worker:
    """Return a worker with this many slots."""
    worker = Worker(queue, max_concurrent=slots)
    worker.include_router(router)
    return worker


async def enqueue(queue: JobQueue, job_type: str, jobs: int, callers: int) -> float:
    """Enqueue from this many coroutines; return the seconds it took."""
    left = iter(range(jobs))

    async def caller() -> None:
        for _ in left:
            await queue.enqueue(job_type, PAYLOAD)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return time.perf_counter() - begun


async def drain(queue: JobQueue, job_type: str, jobs: int, slots: int) -> tuple[float, float]:
    """Return the rates of a drain alone, and of the whole life with the enqueueing before it."""
    filling = await enqueue(queue, job_type, jobs, slots)
    begun = time.perf_counter()
    await new_worker(queue, slots).run(burst=True)
    draining = time.perf_counter() - begun
    return jobs / draining, jobs / (filling + draining)


async def idle_latency(queue: JobQueue, rounds: int) -> list[float]:
    """Return the milliseconds from enqueue to handler start, for one job at a time on an idle worker."""
    worker = new_worker(queue, 10)
    running = asyncio.ensure_future(worker.run())
    found: list[float] = []
    for _ in range(rounds):
        start = asyncio.get_running_loop().create_future()
        started.append(start)
        begun = time.perf_counter()
        job_id = await queue.enqueue("note", PAYLOAD)
        found.append((await start - begun) * 1000)
        await queue.wait(job_id, timeout=10)
    await worker.stop()
    await running
    return sorted(found)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--jobs", type=int, default=5000)
    arguments = parser.parse_args()
    async with JobQueue.from_url(arguments.url) as queue:
        for job_type, jobs in (("noop", arguments.jobs), ("wait", arguments.jobs // 5)):
            for slots in (1, 10, 50, 100):
                few = max(200, jobs // 10) if slots == 1 else jobs
                alone, life = await drain(queue, job_type, few, slots)
                print(f"{job_type:5} {slots:4} slots: drain {alone:8,.0f}, whole life {life:8,.0f} jobs/s")
        latency = await idle_latency(queue, 300)
        p99 = latency[int(len(latency) * 0.99)]
        print(f"idle: enqueue to start p50 {statistics.median(latency):.2f} ms, p99 {p99:.2f} ms")
        await flatness(queue, arguments.jobs)


async def flatness(queue: JobQueue, jobs: int) -> None:
    """Print the drain rate with a large backlog of other work against that without."""
    before = statistics.median([(await drain(queue, "noop", jobs, 50))[0] for _ in range(3)])
    for begin in range(0, 100_000, 1000):
        await asyncio.gather(*(queue.enqueue("backlog", {"n": begin + n}) for n in range(1000)))
    after = statistics.median([(await drain(queue, "noop", jobs, 50))[0] for _ in range(3)])
    print(f"100,000 pending jobs of another type: {after / before:.2f} of the rate without")


if __name__ == "__main__":
    asyncio.run(main())
