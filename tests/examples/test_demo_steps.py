"""The handler to try things with: it moves, can be cancelled, and fails as often as it is told to."""

from __future__ import annotations

from jdobb_async_queue import Broadcaster, JobQueue
from tests.examples.conftest import Run
from tests.support.waiting import WITHIN


async def test_it_takes_its_steps_one_after_the_other(run: Run, queue: JobQueue):
    job = await run("demo.steps", seconds=0.5)
    assert (job.status, job.results) == ("complete", {"steps": 2, "attempt": 1})
    updates = [update async for update in Broadcaster(queue).subscribe(job.id, after=0)]
    assert next(update.message for update in updates if update.message) == "step 1 of 2"


async def test_it_fails_half_way_until_it_has_been_retried_as_often_as_it_is_told_to(
    run: Run, queue: JobQueue
):
    job = await run("demo.steps", seconds=0, failures=2)
    assert (job.status, job.error) == ("failed", "attempt 1 fails at step 1, as the job asked for")
    assert job.errors[0].traceback is not None
    assert await queue.retry(job.id)
    assert (await queue.wait(job.id, timeout=WITHIN)).status == "failed"
    assert await queue.retry(job.id)
    job = await queue.wait(job.id, timeout=WITHIN)
    assert (job.status, job.results) == ("complete", {"steps": 2, "attempt": 3})
