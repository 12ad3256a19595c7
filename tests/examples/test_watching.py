"""Progress that can be watched, and cancellation in the middle of a big file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jdobb_async_queue import Broadcaster, JobQueue
from tests.examples.conftest import Run
from tests.support.waiting import WITHIN


def make_csv(path: Path, megabytes: int) -> None:
    block = "".join(f"{n},{n * n},somebody\n" for n in range(10_000))
    with path.open("w") as file:
        file.write("id,square,name\n")
        while file.tell() < megabytes * 1_000_000:
            file.write(block)


def make_sparse(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        file.truncate(megabytes * 1_000_000)


@pytest.mark.parametrize(
    ("job_type", "make", "megabytes", "said"),
    [
        ("csv.profile", make_csv, 5, "rows: 230,000"),
        ("text.report", make_csv, 5, "words: 690,003"),
        ("files.sha256", make_sparse, 500, "file 1 of 1"),
    ],
)
async def test_progress_grows_while_a_file_is_read(
    run: Run, queue: JobQueue, files: Path, job_type: str, make, megabytes: int, said: str
):
    files.joinpath("big").mkdir()
    make(files / "big/file", megabytes)
    path = "big" if job_type == "files.sha256" else "big/file"
    job_id = await queue.enqueue(job_type, {"path": path})
    updates = [update async for update in Broadcaster(queue).subscribe(job_id, after=0)]
    reports = [update for update in updates if update.kind == "progress"]
    progress = [update.progress for update in reports]
    assert len([part for part in progress if 0 < part < 1]) >= 2
    assert progress == sorted(progress)
    assert reports[-1].message == said
    assert updates[-1].status == "complete"


@pytest.mark.parametrize(
    ("job_type", "make", "megabytes"),
    [
        ("csv.profile", make_csv, 60),
        ("text.report", make_csv, 60),
        ("files.sha256", make_sparse, 100_000),
    ],
)
async def test_a_cancelled_job_stops_in_the_middle_of_a_file_within_a_second_of_work(
    run: Run, queue: JobQueue, files: Path, job_type: str, make, megabytes: int
):
    files.joinpath("big").mkdir()
    make(files / "big/file", megabytes)
    path = "big" if job_type == "files.sha256" else "big/file"
    big = await queue.enqueue(job_type, {"path": path})
    waiting = await queue.enqueue("text.report", {"text": "only one slot"})
    async for update in Broadcaster(queue).subscribe(big, after=0):
        if update.progress > 0:
            break
    asked = time.process_time()  # what others on this machine take does not count
    assert await queue.cancel(big)
    assert (await queue.wait(waiting, timeout=2 * WITHIN)).status == "complete"
    assert time.process_time() - asked < 1
    job = await queue.get(big)
    assert job is not None
    assert (job.status, job.results) == ("cancelled", None)
    assert 0 < job.progress < 0.9


async def test_other_jobs_are_answered_while_a_file_is_read(run: Run, queue: JobQueue, files: Path):
    make_csv(files / "file", 10)
    big = await queue.enqueue("csv.profile", {"path": "file"})
    slowest, asked = 0.0, time.process_time()
    async for _ in Broadcaster(queue).subscribe(big, after=0):
        slowest, asked = max(slowest, time.process_time() - asked), time.process_time()
    assert slowest < 1
