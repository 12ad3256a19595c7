"""What group commit is worth: whole lives of jobs with it and without, at 1, 10 and 100 callers.

    python bench/sqlite_group_commit.py

Each caller enqueues a job, claims one and completes it, again and again, on a new file each time, with
``durability="full"``. "Without" is the same code with one call per transaction.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from jdobb_async_queue import JobQueue
from jdobb_async_queue.backends.sqlite import SQLiteBackend

PAYLOAD = {"path": "/data/in/file.pdf", "options": {"pages": [1, 2, 3], "dpi": 300}, "note": "x" * 20}


async def lives(folder: Path, jobs: int, callers: int, max_batch: int) -> float:
    """Return whole lives per second."""
    backend = SQLiteBackend(f"sqlite:///{folder / 'jobs.db'}", max_batch=max_batch)
    left = iter(range(jobs))
    async with JobQueue(backend) as queue:

        async def caller() -> None:
            for _ in left:
                await queue.enqueue("noop", PAYLOAD)
                job = await queue.claim(["noop"])
                if job is not None:
                    await queue.complete(job.id, {"ok": True}, lease_token=job.lease_token)

        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return jobs / (time.perf_counter() - begun)


async def measure(jobs: int, callers: int, max_batch: int) -> float:
    """Return the rate on a new file."""
    with tempfile.TemporaryDirectory() as folder:
        return await lives(Path(folder), jobs, callers, max_batch)


async def main() -> None:
    """Measure in turn, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=3000)
    jobs = parser.parse_args().jobs
    print("callers   without      with   ratio   (whole lives per second)")
    for callers in (1, 10, 50, 100):
        few = jobs // 10 if callers == 1 else jobs
        without = await measure(few // 2, callers, 1)
        grouped = await measure(few, callers, 128)
        print(f"{callers:7} {without:9,.0f} {grouped:9,.0f} {grouped / without:7.1f}")


if __name__ == "__main__":
    asyncio.run(main())
