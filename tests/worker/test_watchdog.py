"""A handler that blocks the event loop is named."""

from __future__ import annotations

import time

from jdobb_async_queue import JobStatus
from jdobb_async_queue.instrumentation import facts
from tests.support.waiting import WITHIN


async def test_a_handler_that_blocks_the_event_loop_is_named_in_a_warning(queue, start, caplog):
    said = []

    async def email(ctx):
        ends = time.monotonic() + WITHIN
        while not said and time.monotonic() < ends:
            time.sleep(0.05)  # noqa: ASYNC251 - what this test is about

    def listen(fact):
        if isinstance(fact, facts.LoopBlocked) and fact.job_id is not None:
            said.append(fact)

    worker = await start(email=email)
    worker.add_listener(listen)
    job = await queue.wait(await queue.enqueue("email"), 2 * WITHIN)
    fact = said[0]

    assert job.status is JobStatus.COMPLETE
    assert (fact.job_type, fact.job_id) == ("email", job.id)
    assert "test_watchdog.py" in fact.where
    assert any("handler of 'email'" in record.message for record in caplog.records)
