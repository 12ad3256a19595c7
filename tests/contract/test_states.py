"""Every operation on a job in every status: one table.

``ok`` the change is made, ``none`` nothing to claim, the other words are outcomes. What is not ``ok`` changes
nothing. "own" is the token of the job's last claim, "stale" one that was never or is no longer current.
"""

from __future__ import annotations

from typing import Any

import pytest

from jdobb_async_queue import Broadcaster, Job, JobQueue
from jdobb_async_queue.transitions import Transition
from tests.support.jobs import TYPE, get_job, log_of, make_in_state, start_job

TABLE = """
operation        pending   delayed   processing  complete  failed    cancelled  unknown
claim            ok        none      none        none      none      none       none
update           ok        ok        ok          terminal  terminal  terminal   unknown
update_own       -         -         ok          stale     stale     stale      unknown
update_stale     stale     stale     stale       stale     stale     stale      unknown
complete         ok        ok        ok          terminal  terminal  terminal   unknown
complete_own     -         -         ok          repeated  stale     stale      unknown
complete_stale   stale     stale     stale       stale     stale     stale      unknown
fail             ok        ok        ok          terminal  terminal  terminal   unknown
fail_own         -         -         ok          stale     repeated  stale      unknown
fail_stale       stale     stale     stale       stale     stale     stale      unknown
release_own      -         -         ok          stale     stale     stale      unknown
release_stale    stale     stale     stale       stale     stale     stale      unknown
cancel           ok        ok        ok          terminal  terminal  terminal   unknown
retry            terminal  terminal  terminal    terminal  ok        ok         unknown
delete           terminal  terminal  terminal    ok        ok        ok         unknown
heartbeat_own    -         -         ok          lost      lost      cancelled  lost
heartbeat_stale  lost      lost      lost        lost      lost      lost       lost
log_own          -         -         ok          stale     stale     stale      unknown
log_stale        stale     stale     stale       stale     stale     stale      unknown
send             ok        ok        ok          refused   refused   refused    refused
"""

AFTERWARDS = {
    "claim": "processing",
    "complete": "complete",
    "complete_own": "complete",
    "fail": "failed",
    "fail_own": "failed",
    "release_own": "pending",
    "cancel": "cancelled",
    "retry": "pending",
    "delete": None,
}


def cases() -> list[Any]:
    (_, *states), *rows = [line.split() for line in TABLE.strip().splitlines()]
    return [
        pytest.param(operation, state, expected, id=f"{operation}-{state}")
        for operation, *outcomes in rows
        for state, expected in zip(states, outcomes, strict=True)
        if expected != "-"
    ]


@pytest.mark.parametrize(("operation", "state", "expected"), cases())
async def test_operation_in_state(queue, operation, state, expected):
    job = await make_in_state(queue, state) if state != "unknown" else await removed_job(queue)
    before = await everything(queue, job.id)

    outcome = await call(queue, operation, job)

    assert outcome == expected
    if expected != "ok":
        assert await everything(queue, job.id) == before
    elif AFTERWARDS.get(operation, state) is None:
        assert await queue.get(job.id) is None
    else:
        expected_status = AFTERWARDS.get(operation, "pending" if state == "delayed" else state)
        assert (await get_job(queue, job.id)).status == expected_status


async def removed_job(queue: JobQueue) -> Job:
    job = await make_in_state(queue, "complete")
    assert await queue.delete(job.id)
    return job


async def everything(queue: JobQueue, job_id: str) -> tuple[Any, ...]:
    page = await queue.backend.read_updates(job_id, 0)
    log = [] if page is None else await log_of(queue, job_id)
    return await queue.get(job_id), log, await queue.counts(), await queue.stats()


async def call(queue: JobQueue, operation: str, job: Job) -> str:
    verb, _, whose = operation.partition("_")
    token = {"": None, "own": job.lease_token, "stale": "0123456789abcdef.0"}[whose]
    outcomes = {
        "update": lambda: queue.try_update(job.id, 0.5, "half", lease_token=token),
        "complete": lambda: queue.try_complete(job.id, {"sent": 1}, lease_token=token),
        "fail": lambda: queue.try_fail(job.id, "boom", lease_token=token),
        "release": lambda: queue.try_release(job.id, lease_token=token),
        "cancel": lambda: queue.try_cancel(job.id, "not needed"),
        "retry": lambda: queue.try_retry(job.id),
        "delete": lambda: queue.try_delete(job.id),
    }
    if verb in outcomes:
        return (await outcomes[verb]())[0].value
    if verb == "claim":
        return "none" if await queue.claim([TYPE]) is None else "ok"
    if verb == "heartbeat":
        return (await queue.heartbeat([(job.id, token)]))[0].status
    if verb == "log":
        return (await queue.backend.apply([Transition.log(job.id, "a line", lease_token=token)]))[
            0
        ].outcome.value
    assert verb == "send"
    return "ok" if await Broadcaster(queue).send(job.id, message="hello") else "refused"


@pytest.mark.parametrize("verb", ["update", "complete", "fail", "cancel", "retry", "delete", "release"])
@pytest.mark.parametrize("state", ["pending", "processing", "complete", "failed", "cancelled", "unknown"])
async def test_the_bool_methods_say_what_the_outcomes_say(make_queue, verb, state):
    answers = []
    for queue in (make_queue(namespace="one"), make_queue(namespace="two")):
        job = await make_in_state(queue, state) if state != "unknown" else await removed_job(queue)
        prefix = "try_" if queue.namespace == "one" else ""
        token = {"lease_token": job.lease_token or "none"} if verb == "release" else {}
        extra = ("boom",) if verb == "fail" else ()
        answers.append(await getattr(queue, prefix + verb)(job.id, *extra, **token))

    (outcome, job), said = answers
    assert said is (outcome.value in {"ok", "repeated"})
    assert (job is None) is (outcome.value == "unknown" or (verb == "delete" and outcome.value == "ok"))


async def test_the_outcome_comes_with_the_job_afterwards(queue):
    for state in ("pending", "processing"):
        job = await make_in_state(queue, state)

        outcome, after = await queue.try_cancel(job.id)

        assert outcome.value == "ok"
        assert after == await queue.get(job.id)


async def test_a_refused_call_comes_with_the_job_as_it_is(queue):
    job = await make_in_state(queue, "complete")

    outcome, after = await queue.try_cancel(job.id)

    assert outcome.value == "terminal"
    assert after == await queue.get(job.id)


async def test_without_records_only_a_refusal_tells_the_job(queue):
    job = await start_job(queue)
    done = Transition.report(job.id, 0.5, None, lease_token=job.lease_token)
    stale = Transition.report(job.id, 0.7, None, lease_token="0123456789abcdef.0")
    unknown = Transition.report("nobody", 0.7, None, lease_token=job.lease_token)

    answers = await queue.backend.apply([done, stale, unknown], records=False)

    assert [answer.outcome.value for answer in answers] == ["ok", "stale", "unknown"]
    assert answers[0].record is None
    assert answers[1].record is not None
    assert answers[1].record.progress == 0.5
    assert answers[2].record is None
