"""What becomes of what a handler returns and raises."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from pydantic import BaseModel

from jdobb_async_queue import (
    FailNow,
    JobRouter,
    JobStatus,
    RetryLater,
    RetryPolicy,
    Snooze,
    Worker,
)
from tests.support.jobs import get_job
from tests.support.waiting import WITHIN, eventually


async def test_what_a_handler_returns_becomes_the_results(queue, start):
    async def email(ctx):
        return {"sent_to": ctx.data["to"]}

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email", {"to": "ann"}), WITHIN)

    assert (job.status, job.results, job.progress) == (JobStatus.COMPLETE, {"sent_to": "ann"}, 1.0)


async def test_a_handler_may_return_nothing(queue, start):
    async def email(ctx):
        return None

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (job.status, job.results) == (JobStatus.COMPLETE, None)


@pytest.mark.parametrize("value", [3, "text", [1], {"a": object()}, {1: 2}, {"a": float("nan")}])
async def test_a_return_value_that_is_no_json_object_fails_the_job_without_retry(queue, start, value):
    async def email(ctx):
        return value

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email", max_attempts=5), WITHIN)

    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert "JSON object" in job.error


async def test_an_exception_fails_the_job_and_is_kept_with_its_traceback(queue, start):
    async def email(ctx):
        msg = "no route"
        raise ConnectionError(msg)

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (job.status, job.error, job.failures) == (JobStatus.FAILED, "no route", 1)
    [error] = job.errors
    assert (error.attempt, error.type, error.message) == (1, "ConnectionError", "no route")
    assert "raise ConnectionError(msg)" in error.traceback
    assert "executor.py" not in error.traceback


async def test_a_failed_attempt_is_repeated_as_the_policy_says(queue, start):
    attempts = []

    async def email(ctx):
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError

    router = JobRouter()
    router.register_handler("email", email, retry=RetryPolicy(max_attempts=3, base=0.01))
    await start(routers=[router])
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (job.status, attempts, job.failures) == (JobStatus.COMPLETE, [1, 2, 3], 2)


async def test_errors_that_the_policy_gives_up_on_are_not_repeated(queue, start):
    async def email(ctx):
        int("x")

    await start(email=email)
    policy = RetryPolicy(max_attempts=5, base=0, give_up_on=(ValueError,))
    job = await queue.wait(await queue.enqueue("email", retry=policy), WITHIN)

    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)


async def test_fail_now_ends_the_job_although_attempts_are_left(queue, start):
    async def email(ctx):
        raise FailNow("no such address")

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email", max_attempts=5), WITHIN)

    assert (job.status, job.error, job.attempt) == (JobStatus.FAILED, "no such address", 1)
    assert job.errors[0].traceback is None


async def test_retry_later_counts_a_failure_and_sets_its_own_delay(queue, start):
    async def email(ctx):
        if ctx.attempt == 1:
            raise RetryLater(0.01)

    await start(email=email)
    policy = RetryPolicy(max_attempts=2, base=3600)
    job = await queue.wait(await queue.enqueue("email", retry=policy), WITHIN)

    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETE, 2, 1)


async def test_retry_later_on_the_last_attempt_fails_the_job(queue, start):
    async def email(ctx):
        raise RetryLater(0.01, "still busy")

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email", max_attempts=2), WITHIN)

    assert (job.status, job.attempt, job.error) == (JobStatus.FAILED, 2, "still busy")


async def test_a_snooze_counts_no_failure(queue, start):
    async def email(ctx):
        if ctx.attempt < 4:
            raise Snooze(0.01)

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETE, 4, 0)


async def test_an_attempt_that_takes_longer_than_its_timeout_fails(queue, start):
    async def email(ctx):
        await asyncio.Event().wait()

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email", timeout=0.05), WITHIN)

    assert job.status is JobStatus.FAILED
    assert job.error.startswith("timeout:")


async def test_swallowing_the_timeout_does_not_make_a_success_of_it(queue, start):
    async def email(ctx):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return {"ok": True}

    await start(email=email)
    job = await queue.wait(await queue.enqueue("email", timeout=0.05), WITHIN)

    assert (job.status, job.results) == (JobStatus.FAILED, None)


async def test_a_handler_that_cancels_itself_fails_its_job_and_harms_no_other(queue, start):
    async def email(ctx):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def sms(ctx):
        return {"ok": True}

    await start(email=email, sms=sms)
    failed = await queue.wait(await queue.enqueue("email"), WITHIN)
    other = await queue.wait(await queue.enqueue("sms"), WITHIN)

    assert (failed.status, other.status) == (JobStatus.FAILED, JobStatus.COMPLETE)


async def test_a_handler_that_exits_fails_its_job_and_the_worker_goes_on(queue, start):
    async def email(ctx):
        raise SystemExit(3)

    worker = await start(email=email)
    first = await queue.wait(await queue.enqueue("email"), WITHIN)
    second = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (first.status, second.status, worker.is_running) == (JobStatus.FAILED, JobStatus.FAILED, True)


class Letter(BaseModel):
    to: str
    copies: int = 1


async def test_a_data_model_gives_the_handler_a_typed_payload_beside_the_dict(queue, start):
    async def letter(ctx):
        return {"kind": type(ctx.payload).__name__, "copies": ctx.payload.copies, "data": ctx.data}

    router = JobRouter()
    router.register_handler("letter", letter, data_model=Letter)
    await start(routers=[router])
    job = await queue.wait(await queue.enqueue("letter", {"to": "ann"}), WITHIN)

    assert job.results == {"kind": "Letter", "copies": 1, "data": {"to": "ann"}}


async def test_a_payload_that_does_not_fit_fails_the_job_without_retry_and_without_echoing_it(queue, start):
    async def letter(ctx):
        return None

    router = JobRouter()
    router.register_handler("letter", letter, data_model=Letter, max_attempts=5)
    await start(routers=[router])
    job = await queue.wait(await queue.enqueue("letter", {"copies": "secret"}), WITHIN)

    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert "data.to" in job.error
    assert "data.copies" in job.error
    assert "secret" not in job.error


async def test_the_context_tells_the_job_and_its_attempt(queue, start):
    seen = {}

    async def email(ctx):
        seen.update(
            id=ctx.id, job_type=ctx.job_type, data=ctx.data, metadata=ctx.metadata,
            attempt=ctx.attempt, status=ctx.job.status, token=ctx.job.lease_token, cancelled=ctx.is_cancelled,
        )  # fmt: skip

    await start(email=email)
    job_id = await queue.enqueue("email", {"a": 1}, metadata={"user": "7"})
    await queue.wait(job_id, WITHIN)

    assert seen.pop("token")
    assert seen == {
        "id": job_id, "job_type": "email", "data": {"a": 1}, "metadata": {"user": "7"},
        "attempt": 1, "status": JobStatus.PROCESSING, "cancelled": False,
    }  # fmt: skip


async def test_a_lifespan_is_entered_once_before_the_first_claim_and_left_after_the_last_job(queue, start):
    events = []

    @contextlib.asynccontextmanager
    async def lifespan():
        events.append("enter")
        yield {"pool": 1}
        events.append("leave")

    async def email(ctx):
        events.append(ctx.state)

    router = JobRouter(lifespan=lifespan)
    router.register_handler("email", email)
    for _ in range(2):
        await queue.enqueue("email")
    worker = await start(routers=[router], max_concurrent=1)

    async def both_ran():
        return len(events) == 3

    await eventually(both_ran)
    await worker.stop()

    assert events == ["enter", {"pool": 1}, {"pool": 1}, "leave"]


async def test_each_router_has_its_own_state(queue, start):
    @contextlib.asynccontextmanager
    async def database():
        yield "database"

    @contextlib.asynccontextmanager
    async def mailer():
        yield "mailer"

    async def state(ctx):
        return {"state": ctx.state}

    first, second = JobRouter(lifespan=database), JobRouter(lifespan=mailer)
    first.register_handler("row", state)
    second.register_handler("mail", state)
    await start(routers=[first, second], own=state)
    jobs = [await queue.wait(await queue.enqueue(name), WITHIN) for name in ("row", "mail", "own")]

    assert [job.results["state"] for job in jobs] == ["database", "mailer", None]


def test_a_handler_must_be_async():
    router = JobRouter()

    with pytest.raises(TypeError, match="async def"):
        router.register_handler("email", lambda ctx: None)


def test_a_job_type_has_one_handler(queue):
    async def email(ctx): ...

    worker = Worker(queue)
    worker.register_handler("email", email)

    with pytest.raises(ValueError, match="already has a handler"):
        worker.handler("email")
    other = JobRouter()
    other.register_handler("email", email)
    with pytest.raises(ValueError, match="already has a handler"):
        worker.include_router(other)


async def test_a_handler_registered_while_running_counts_from_the_next_claim(queue, start):
    async def email(ctx):
        return None

    async def sms(ctx):
        return {"late": True}

    worker = await start(email=email)
    waiting = await queue.enqueue("sms")
    await queue.wait(await queue.enqueue("email"), WITHIN)
    assert (await get_job(queue, waiting)).status is JobStatus.PENDING
    worker.register_handler("sms", sms)

    assert (await queue.wait(waiting, WITHIN)).results == {"late": True}


async def test_handlers_publish_their_settings_so_that_every_process_sees_them(queue, start):
    async def letter(ctx): ...

    router = JobRouter()
    router.register_handler("letter", letter, max_attempts=4, timeout=9, max_lost=2, data_model=Letter)
    await start(routers=[router])

    async def published():
        types = {info.job_type: info for info in await queue.job_types()}
        return "letter" in types and types["letter"].timeout == 9

    await eventually(published)
    [info] = await queue.job_types()

    assert (info.retry.max_attempts, info.max_lost) == (4, 2)
    assert info.payload_schema["required"] == ["to"]


async def test_a_plain_handler_is_published_too(queue, start):
    async def email(ctx): ...

    await queue.open()
    await start(email=email)

    async def published():
        return "email" in await queue.backend.job_types()

    await eventually(published)


class OddError(BaseException):
    """What some test tools raise."""


async def test_whatever_a_handler_raises_fails_its_job_and_frees_its_slot(queue, start):
    async def email(ctx):
        raise OddError("odd")

    await start(email=email, max_concurrent=1)
    first = await queue.wait(await queue.enqueue("email"), WITHIN)
    second = await queue.wait(await queue.enqueue("email"), WITHIN)

    assert (first.status, second.status) == (JobStatus.FAILED, JobStatus.FAILED)


class Forgetful(Snooze):
    """A subclass that forgets to build what it is."""

    def __init__(self) -> None:
        Exception.__init__(self, "later")


class Changing(dict):
    """What another thread changes while it is looked at."""

    def items(self):
        msg = "dictionary changed size during iteration"
        raise RuntimeError(msg)


@pytest.mark.parametrize(("odd", "said"), [(Forgetful(), "'delay'"), (Changing(a=1), "changed size")])
async def test_what_cannot_even_be_looked_at_fails_its_job_and_frees_its_slot(queue, start, odd, said):
    async def email(ctx):
        if isinstance(odd, Exception):
            raise odd
        return odd

    await start(email=email, max_concurrent=1)
    jobs = [await queue.enqueue("email", max_attempts=5) for _ in range(3)]
    ended = [await queue.wait(job_id, WITHIN) for job_id in jobs]

    assert [(job.status, job.attempt) for job in ended] == [(JobStatus.FAILED, 1)] * 3
    assert all("is broken: " in job.error and said in job.error for job in ended)


async def test_a_handler_that_is_cancelled_twice_frees_its_slot(queue, start):
    async def email(ctx):
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
        raise asyncio.CancelledError

    await start(email=email, max_concurrent=1)
    jobs = [await queue.enqueue("email") for _ in range(3)]
    ended = [await queue.wait(job_id, WITHIN) for job_id in jobs]

    assert [job.status for job in ended] == [JobStatus.FAILED] * 3


async def test_a_delay_beyond_all_bounds_fails_that_job_alone(queue, start):
    async def email(ctx):
        raise Snooze(1e306)

    async def sms(ctx): ...

    await start(email=email, sms=sms)
    failed = await queue.wait(await queue.enqueue("email"), WITHIN)
    other = await queue.wait(await queue.enqueue("sms"), WITHIN)

    assert "delay" in failed.error
    assert other.status is JobStatus.COMPLETE


async def test_the_settings_of_a_handler_registered_late_hold_from_its_first_job(queue, start):
    async def email(ctx):
        return None

    async def sms(ctx):
        if ctx.attempt == 1:
            raise ValueError

    worker = await start(email=email)
    waiting = await queue.enqueue("sms")
    await queue.wait(await queue.enqueue("email"), WITHIN)
    worker.register_handler("sms", sms, retry=RetryPolicy(max_attempts=2, base=0))

    assert (await queue.wait(waiting, WITHIN)).status is JobStatus.COMPLETE


def test_a_router_that_is_in_use_takes_no_second_handler_for_a_job_type(queue):
    async def email(ctx): ...

    router = JobRouter()
    worker = Worker(queue)
    worker.include_router(router)
    worker.register_handler("email", email)

    with pytest.raises(ValueError, match="already has a handler"):
        router.register_handler("email", email)
    assert router.handlers == {}


async def test_a_listener_that_raises_costs_no_slot(queue, start):
    async def email(ctx): ...

    def broken(fact):
        raise ZeroDivisionError

    worker = await start(email=email, max_concurrent=1)
    worker.add_listener(broken)
    jobs = [await queue.wait(await queue.enqueue("email"), WITHIN) for _ in range(3)]

    assert [job.status for job in jobs] == [JobStatus.COMPLETE] * 3
