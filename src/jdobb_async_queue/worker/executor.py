"""Runs one claimed job: find its handler, check its payload, call it in time, tell what came of it."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jdobb_async_queue.encoding import encode_object
from jdobb_async_queue.errors import FailNow, LeaseLost, RetryLater, Snooze
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.lifecycle import AttemptOutcome, Completed, Failed, Released
from jdobb_async_queue.retry import error_type_names
from jdobb_async_queue.transitions import AttemptFailure
from jdobb_async_queue.validation import MAX_ERROR_LENGTH, MAX_TRACEBACK_LENGTH
from jdobb_async_queue.worker.context import JobContext
from jdobb_async_queue.worker.shift import CANCELLED, LOST, SHUTDOWN, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from jdobb_async_queue.records import JobRecord
    from jdobb_async_queue.worker.reporter import Reporter
    from jdobb_async_queue.worker.shift import Bound, Execution, Shift

    Submit = Callable[[Execution, AttemptOutcome], None]

TO_OBEY = 2.0
"""Seconds that a cancelled handler gets to end before its attempt is settled without it."""
_NOTHING_TO_SETTLE = frozenset({CANCELLED, LOST})


class Executor:
    """Starts executions, each in a task of its own."""

    def __init__(self, shift: Shift, submit: Submit, reporter: Reporter) -> None:
        self._shift = shift
        self._submit = submit
        self._reporter = reporter

    def start(self, execution: Execution) -> None:
        """Run a claimed job in a slot."""
        execution.on_stop = self._stopped
        self._shift.slots.take(execution)
        asyncio.get_running_loop().create_task(self._run(execution))

    def abandon(self, execution: Execution) -> None:
        """Settle an attempt whose handler was told to stop and goes on; it keeps its slot until it ends."""
        if execution.settling or execution.ended:
            return
        record = execution.record
        self._shift.tell(facts.HandlerIgnoresCancellation(record.id, record.job_type))
        outcome = _outcome_of_stop(execution)
        if outcome is not None:
            self._submit(execution, outcome)

    async def _run(self, execution: Execution) -> None:
        self._shift.slots.run_in(asyncio.current_task(), execution)
        try:
            outcome = await self._attempt(execution)
        except Exception as error:  # noqa: BLE001 - unsettled, the job would run and its slot be taken for ever
            outcome = _outcome_of_oddity(error)
        finally:
            execution.ended = True
            if execution.settled:
                self._shift.slots.give_back(execution)
        if outcome is None:
            self._shift.slots.give_back(execution)
        elif not execution.settling:
            self._submit(execution, outcome)

    async def _attempt(self, execution: Execution) -> AttemptOutcome | None:
        """Return what came of the attempt; None when there is nothing that we may settle."""
        shift = self._shift
        bound = shift.bound(execution.record.job_type)
        execution.started = shift.clock.monotonic()
        if _is_stopped(execution):
            return _outcome_of_stop(execution)
        if bound is None or execution.started >= execution.deadline:
            return Released()
        record = execution.record
        shift.tell(_started(record))
        timer = self._timer(execution)
        try:
            results = await self._call(execution, bound)
        except asyncio.CancelledError:
            with suppress(asyncio.CancelledError):  # nor does a second one hurt
                await asyncio.sleep(0)  # who cancels everything at once cancels the worker too: let it say so
            return _outcome_of_cancellation(execution, is_leaving=shift.leaving)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its outcome
            return _outcome_of_stop(execution) if _is_stopped(execution) else _outcome_of_error(error)
        else:
            return _outcome_of_stop(execution) if _is_stopped(execution) else self._outcome_of_return(results)
        finally:
            if timer is not None:
                timer.cancel()

    async def _call(self, execution: Execution, bound: Bound) -> Any:
        context = JobContext(execution, self._reporter, bound.state)
        if bound.handler.data_model is not None:
            try:
                context.payload = bound.handler.data_model.model_validate(context.data)
            except ValidationError as error:
                raise FailNow(_unfit(error)) from None
        return await bound.handler.function(context)

    def _timer(self, execution: Execution) -> asyncio.TimerHandle | None:
        timeout = execution.record.effective().timeout
        if timeout is None:
            return None
        return asyncio.get_running_loop().call_later(timeout, self._time_out, execution)

    def _time_out(self, execution: Execution) -> None:
        execution.stop(TIMEOUT)
        asyncio.get_running_loop().call_later(TO_OBEY, self.abandon, execution)

    def _outcome_of_return(self, results: Any) -> AttemptOutcome:
        if results is None:
            return Completed(None)
        try:
            return Completed(encode_object(results, "results", self._shift.options.max_payload_bytes))
        except (TypeError, ValueError) as error:
            message = f"the handler must return None or a JSON object: {error}"
            return Failed(AttemptFailure(message, "InvalidResults"), retry=False)

    def _stopped(self, execution: Execution) -> None:
        record, reason = execution.record, execution.stop_reason or ""
        self._shift.tell(facts.JobStopped(record.id, record.job_type, record.attempt, reason))


def _started(record: JobRecord) -> facts.JobStarted:
    waited = 0 if record.started_at is None else max(0, record.started_at - record.run_at)
    return facts.JobStarted(
        record.id, record.job_type, record.attempt, waited / 1000, record.request_id, record.traceparent
    )


def _is_stopped(execution: Execution) -> bool:
    return execution.stop_reason is not None


def _outcome_of_stop(execution: Execution) -> AttemptOutcome | None:
    """Return the outcome of an attempt that was told to stop: what it returned does not count any more."""
    reason = execution.stop_reason
    if reason in _NOTHING_TO_SETTLE:
        return None
    if reason == SHUTDOWN:
        return Released()
    seconds = execution.record.effective().timeout
    failure = AttemptFailure(f"timeout: the attempt took longer than {seconds:g} s", "Timeout")
    return Failed(failure, ("Timeout", "TimeoutError", "builtins.TimeoutError"))


def _outcome_of_cancellation(execution: Execution, *, is_leaving: bool) -> AttemptOutcome | None:
    if _is_stopped(execution):
        return _outcome_of_stop(execution)
    if is_leaving:
        return Released()
    failure = AttemptFailure("the handler was cancelled from inside", "CancelledError")
    return Failed(failure, ("CancelledError", "asyncio.exceptions.CancelledError"))


def _outcome_of_error(error: BaseException) -> AttemptOutcome | None:
    match error:
        case Snooze():
            return Released(error.delay)
        case LeaseLost():
            return None
        case FailNow():
            return Failed(_chosen(error, error.error), retry=False)
        case RetryLater():
            return Failed(_chosen(error, error.error), retry_in=error.delay)
        case _:
            return Failed(_failure(error, _text(error)), error_type_names(error))


def _outcome_of_oddity(error: Exception) -> AttemptOutcome:
    """Return the outcome of an attempt that returned, or raised, what cannot even be looked at."""
    message = f"what the handler returned or raised is broken: {_text(error)}"
    return Failed(AttemptFailure(_storable(message)[:MAX_ERROR_LENGTH], type(error).__name__), retry=False)


def _chosen(error: BaseException, message: str) -> AttemptFailure:
    """Return a failure that the handler chose: where in its source it did so is nobody's concern."""
    return AttemptFailure(_storable(message)[:MAX_ERROR_LENGTH], type(error).__name__)


def _failure(error: BaseException, message: str) -> AttemptFailure:
    first = error.__traceback__
    while first is not None and first.tb_frame.f_code.co_filename == __file__:
        first = first.tb_next
    lines = "".join(traceback.format_exception(type(error), error, first))
    return AttemptFailure(
        _storable(message)[:MAX_ERROR_LENGTH],
        type(error).__name__,
        _storable(lines)[-MAX_TRACEBACK_LENGTH:],
    )


def _text(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 - an exception whose __str__ raises is still a failure to report
        return type(error).__name__


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _unfit(error: ValidationError) -> str:
    places = "; ".join(
        f"data.{'.'.join(map(str, item['loc']))}: {item['msg']}"
        for item in error.errors(include_input=False)[:10]
    )
    return f"the payload does not fit: {places}"
