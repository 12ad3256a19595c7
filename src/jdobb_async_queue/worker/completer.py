"""Stores the outcomes of attempts: those that wait leave together, and an outage only delays them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from jdobb_async_queue.errors import BackendError
from jdobb_async_queue.instrumentation import facts
from jdobb_async_queue.lifecycle import AttemptOutcome, Failed, settle
from jdobb_async_queue.models import Outcome
from jdobb_async_queue.worker.loop import Loop

if TYPE_CHECKING:
    from jdobb_async_queue.backends.base import Applied
    from jdobb_async_queue.transitions import Transition
    from jdobb_async_queue.worker.reporter import Reporter
    from jdobb_async_queue.worker.shift import Execution, Shift

_BATCH = 100
_ACCEPTED = frozenset({Outcome.OK, Outcome.REPEATED})


class Completer(Loop):
    """Settles attempts. An outcome is kept, and its slot with it, until the backend has answered."""

    name: ClassVar[str] = "completer"

    def __init__(self, shift: Shift, reporter: Reporter) -> None:
        super().__init__(shift)
        self._reporter = reporter
        self._waiting: list[tuple[Execution, AttemptOutcome]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, execution: Execution, outcome: AttemptOutcome) -> None:
        """Take the outcome of an attempt."""
        execution.settling = True
        self._waiting.append((execution, outcome))
        self.bell.ring()

    async def flush(self) -> None:
        """Settle what still waits, as long as the backend answers; called when the loop has ended."""
        while self._waiting:
            await self.poll()

    async def poll(self) -> float | None:
        """Settle what waits, in one call; after a failure one at a time, so that it holds up nothing else."""
        batch = self._waiting[: 1 if self._failures else _BATCH]
        if not batch:
            return None
        settled = [(execution, outcome, *self._settle(execution, outcome)) for execution, outcome in batch]
        if not self._failures:  # else outcomes would pile up for as long as claims succeed
            self.shift.slots.leave(execution for execution, _ in batch)
        try:
            answers = iter(
                await self._apply([change for *_, reports, last in settled for change in (*reports, last)])
            )
        except BaseException:
            self.shift.slots.stay()
            self._waiting = [*self._waiting[len(batch) :], *batch]
            for execution, _, reports, _ in settled:
                self._reporter.put_back(execution, reports)
            raise
        del self._waiting[: len(batch)]
        for execution, outcome, reports, change in settled:
            for _ in reports:
                next(answers)
            self._done(execution, outcome, change, next(answers))
        return 0.0 if self._waiting else None

    def _settle(self, execution: Execution, outcome: AttemptOutcome) -> tuple[list[Transition], Transition]:
        """Return the reports that still wait, and the transition that settles the attempt."""
        options = self.shift.options
        change = settle(
            outcome, execution.record, options.retention, options.rng, lease_token=execution.token
        )
        return self._reporter.take(execution), change

    async def _apply(self, changes: list[Transition]) -> list[Applied | None]:
        """Apply all in one call; if that meets a defect, one by one, so that it costs one job only."""
        apply = self.shift.backend.apply
        try:
            return list(await apply(changes, records=False))
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 - told, and narrowed down
            self.shift.tell(facts.LoopFailed(self.name, error))
        answers: list[Applied | None] = []
        for change in changes:
            try:
                answers += await apply([change], records=False)
            except BackendError:
                raise
            except Exception as error:  # noqa: BLE001 - its lease runs out and it is rescued
                self.shift.tell(facts.LoopFailed(self.name, error))
                answers.append(None)
        return answers

    def _done(
        self, execution: Execution, outcome: AttemptOutcome, change: Transition, answer: Applied | None
    ) -> None:
        shift, record = self.shift, execution.record
        execution.settled = True
        if execution.ended:
            shift.slots.give_back(execution)
        accepted = answer is not None and answer.outcome in _ACCEPTED
        if accepted and change.verb == "release":
            shift.released += 1
        failure = outcome.failure if isinstance(outcome, Failed) else None
        shift.tell(
            facts.JobSettled(
                record.id,
                record.job_type,
                record.attempt,
                _word(change) if accepted else "refused",
                shift.clock.monotonic() - execution.started,
                None if failure is None else failure.message,
                None if failure is None else failure.traceback,
                record.request_id,
            )
        )


def _word(change: Transition) -> str:
    if change.verb == "fail":
        return "failed" if change.status == "failed" else "retrying"
    return "complete" if change.verb == "complete" else "released"
