"""A handler that blocks the event loop is named."""

from __future__ import annotations

import time

from jdobb_async_queue import JobStatus
from jdobb_async_queue.instrumentation import facts
from tests.worker.conftest import told

WITHIN = 10.0


async def test_a_handler_that_blocks_the_event_loop_is_named_in_a_warning(queue, start, caplog):
    async def email(ctx):
        time.sleep(1.6)  # noqa: ASYNC251 - what this test is about

    worker = await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)
    [fact] = told(worker, facts.LoopBlocked)

    assert job.status is JobStatus.COMPLETE
    assert (fact.job_type, fact.job_id) == ("email", job.id)
    assert "test_watchdog.py" in fact.where
    assert any("handler of 'email'" in record.message for record in caplog.records)
