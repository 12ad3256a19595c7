"""Random histories of a queue: every answer, and all that can be read, is what the reference model says.

A history moves a manual clock, so nothing in it depends on the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jdobb_async_queue import Broadcaster
from jdobb_async_queue.backends.base import LeaseRef
from tests.model import calls, readings
from tests.model.calls import Call
from tests.model.moves import Draft, a_job, any_draft, batches, picked, picks, queue_options
from tests.model.reference import DAY, Model, Options, millis
from tests.model.stores import UPDATES_KEPT, Store
from tests.support.clock import ManualClock
from tests.support.jobs import log_of, next_due


class Histories(RuleBasedStateMachine):
    """Makes each step on a store and on the model, and compares."""

    def __init__(self, make_store: Callable[..., Store]) -> None:
        super().__init__()
        self._make_store = make_store
        self._store: Store | None = None
        self.clock = ManualClock()
        self._logs: dict[tuple[str, int], Any] = {}
        self._versions: dict[tuple[str, int], tuple[int, int]] = {}

    @initialize(options=queue_options, batch=batches(4, 6))
    def begin(self, options: dict[str, Any], batch: Any) -> None:
        self._store = self._make_store(self.clock, **options)
        retention = {status: millis(keep) for status, keep in options["retention"].items()}
        self.model = Model(
            self.clock.now(),
            Options(millis(options["default_ttl"]), options["max_pending"], retention, UPDATES_KEPT),
        )
        self._make(calls.Enqueue(batch))

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    def run(self, asking: Awaitable[Any]) -> Any:
        return self.store.loop.run_until_complete(asking)

    def teardown(self) -> None:
        if self._store is None:
            return
        try:
            self.the_store_is_sound()
            for job in self.model.jobs.values():
                self._check_log(job.id)
        finally:
            self.run(self.store.close())
            self.store.loop.close()

    # -- what happens ----------------------------------------------------------------------------------

    @rule(draft=any_draft)
    def one_call(self, draft: Draft) -> None:
        self._make(draft(self.model))

    def _make(self, call: Call) -> None:
        answer = self.run(call.ask(self.store.queue))
        note(f"  {call} is answered {answer}")
        expected = call.expect(self.model, answer)
        assert answer == expected, (call, answer, expected)
        if isinstance(call, calls.Claim) and not answer:
            self._check_next_due(call.types)

    @rule(first=any_draft, second=any_draft)
    def two_calls_at_once(self, first: Draft, second: Draft) -> None:
        """Make two calls side by side: all is as if one of them had come before the other."""
        pair = [first(self.model), second(self.model)]
        if any(isinstance(call, calls.Maintain) for call in pair):  # steps, between which others may come
            for call in pair:
                self._make(call)
            return

        async def both() -> list[Any]:
            return await asyncio.gather(*(call.ask(self.store.queue) for call in pair))

        answers = self.run(both())
        note(f"  {pair} are answered {answers}")
        orders = []
        for order in ((0, 1), (1, 0)):
            model = self.model.copy()
            expected = {n: pair[n].expect(model, answers[n]) for n in order}
            if [expected[0], expected[1]] == answers and self._is_as(model):
                orders.append(model)
        assert orders, (pair, answers)
        self.model = orders[0]

    @rule(seconds=st.sampled_from([0.001, 0.5, 1, 1, 2, 2, 5, 30]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.model.now = self.clock.now()
        if self.model.silent_workers():
            self._make(calls.Maintain())  # until then they may be forgotten, or may not

    @rule(pick=picks, off_by=st.sampled_from([-1, 0, 0, 1]))
    def time_passes_until_something_is_due(self, pick: int, off_by: int) -> None:
        coming = sorted({at + off_by for at in self.model.instants() if at + off_by > self.model.now})
        if coming:
            self.time_passes((picked(pick, coming) - self.model.now) / 1000)

    @rule(really=st.sampled_from([True, False, False, False]))
    def a_day_passes(self, really: bool) -> None:
        if really:
            self.time_passes((DAY + 1) / 1000)

    @precondition(lambda self: self.store.outlives)
    @rule()
    def everybody_opens_anew(self) -> None:
        self.run(self.store.reopen())

    @precondition(lambda self: self.store.outlives)
    @rule()
    def a_crash(self) -> None:
        self.run(self.store.crash())

    # -- what can be read ------------------------------------------------------------------------------

    @rule()
    def figures_are_right(self) -> None:
        queue = self.store.queue
        assert self.run(readings.read_stats(queue)) == self.model.stats()
        assert self.run(readings.read_history(queue)) == self.model.history()
        assert self.run(readings.read_error_groups(queue)) == self.model.error_groups()
        assert self.run(readings.read_job_types(queue)) == self.model.type_settings()
        assert self.run(readings.read_workers(queue)) == readings.workers(self.model)

    @rule()
    def the_store_is_sound(self) -> None:
        self.run(self.store.check())

    @rule(job=picks, place=picks)
    def a_watch_goes_on_where_it_was_cut(self, job: int, place: int) -> None:
        job_id = a_job(self.model, job)
        if job_id not in self.model.jobs:
            return
        known = self.model.jobs[job_id]
        log = self.run(log_of(self.store.queue, job_id))
        is_trimmed = len(known.log) > len(log)
        seqs = [each.seq for each in log]
        cut = place % (len(log) + 1)
        after = seqs[cut - 1] if cut else 0
        got = self.run(readings.watch(Broadcaster(self.store.queue), job_id, after, seqs[-1] if seqs else 0))
        if is_trimmed and not cut:
            assert [(each.gap, each.seq, each.status.value) for each in got] == [
                (True, seqs[-1], known.status)
            ]
        else:
            assert got == log[cut:]

    @invariant()
    def every_job_is_as_the_model_says(self) -> None:
        if self._store is None:
            return
        found, expected = self._read_jobs(self.model, self._check_version), readings.jobs(self.model)
        assert found == expected, readings.differing(found, expected)
        assert self.run(self.store.queue.counts()) == self.model.counts()

    @invariant()
    def every_lease_is_as_the_model_says(self) -> None:
        if self._store is None:
            return
        refs = [LeaseRef(lease.job_id, lease.token, extend=False) for lease in self.model.leases]
        answers = self.run(self.store.queue.backend.heartbeat(refs))
        found = [(answer.status, answer.expires_in) for answer in answers]
        assert found == [self.model.look(lease) for lease in self.model.leases]

    @invariant()
    def every_log_that_grew_is_as_the_model_says(self) -> None:
        if self._store is None:
            return
        for job in self.model.jobs.values():
            if self._logs.get((job.id, job.place)) is not job.log:
                self._logs[job.id, job.place] = job.log
                self._check_log(job.id)

    def _is_as(self, model: Model) -> bool:
        """Tell whether jobs and logs are as a model says, in which two calls came in one order."""
        return self._read_jobs(model) == readings.jobs(model) and all(
            self._read_log(job.id) == list(model.kept_log(job))
            for job in model.jobs.values()
            if self._logs.get((job.id, job.place)) is not job.log
        )

    def _read_log(self, job_id: str) -> list[Any]:
        log = self.run(log_of(self.store.queue, job_id))
        seqs = [each.seq for each in log]
        assert seqs == sorted(set(seqs)), job_id
        return [readings.update(each) for each in log]

    def _read_jobs(self, model: Model, check: Callable[[Any], None] | None = None) -> dict[str, Any]:
        """Read the jobs that the model has or ever had."""
        ids = list(dict.fromkeys(model.ids))
        found = [job for job in self.run(self.store.queue.get_many(ids)) if job is not None]
        if check is not None:
            for job in found:
                check(job)
        return {job.id: readings.shown(job) for job in found}

    def _check_version(self, job: Any) -> None:
        """Check that the version grew if, and only if, the job changed since it was last looked at."""
        model = self.model.jobs.get(job.id)
        assert model is not None, job
        key = (job.id, model.place)
        changes, version = self._versions.get(key, (model.changes, job.version))
        assert (job.version > version) is (model.changes > changes), (job.id, version, job.version)
        self._versions[key] = (model.changes, job.version)

    def _check_log(self, job_id: str) -> None:
        assert self._read_log(job_id) == list(self.model.kept_log(self.model.jobs[job_id]))

    def _check_next_due(self, types: list[str] | None) -> None:
        """Check that who found nothing is told to look again later, and early enough."""
        latest = self.model.next_due(types)
        due = self.run(next_due(self.store.queue, types))
        assert due is None or due > self.clock.now()
        assert latest is None or (due is not None and due <= latest), (due, latest)
