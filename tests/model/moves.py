"""How the calls of a history are drawn: so that they meet each other, and seldom miss.

What is drawn is a ``Draft``: it knows its job, lease or instant as a number only, and becomes a call when the
history is there. So the same numbers are drawn again also where two calls at once end now this way, now that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from jdobb_async_queue import JobPriority, NewJob, RetryPolicy
from tests.model import calls
from tests.model.reference import Lease, Model
from tests.support.clock import NEW_YEAR

IDS = [f"job-{n}" for n in range(6)]
STATUSES = ["pending", "processing", "complete", "failed", "cancelled"]
NOBODYS = Lease("job-0", "no token", 1000)
POLICIES = [
    RetryPolicy(base=2, factor=2, cap=5, jitter=0),
    RetryPolicy(max_attempts=2, jitter=0),
    RetryPolicy(max_attempts=3, base=0.5, jitter=0, give_up_on=("Fatal",)),
]
"""Without jitter, which is a property of its own: here delays are exact."""

picks = st.integers(0, 59)
plainly = st.booleans()
delays = st.sampled_from([None, 0.0, 3.0])


@dataclass(frozen=True)
class Draft:
    """A call before it is known what it is about."""

    make: Callable[..., calls.Call]
    options: dict[str, Any]

    def __call__(self, model: Model) -> calls.Call:
        return self.make(model, **self.options)

    def __repr__(self) -> str:
        return (
            f"{self.make.__name__}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"
        )


def draft(make: Callable[..., calls.Call], **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Draft]:
    return st.builds(Draft, st.just(make), st.fixed_dictionaries(options))


def often(common: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Draw the first value in half of all cases."""
    return st.sampled_from([common] * max(1, len(others)) + [*others])


def picked(pick: int, choice: list[Any]) -> Any:
    """Return one of several by its number, however many there are."""
    return choice[pick % len(choice)]


def a_job(model: Model, pick: int) -> str:
    """Return an id, seldom an unknown one."""
    return picked(pick // 4, [*model.jobs] if pick % 4 and model.jobs else [*IDS, *model.ids])


def a_lease(model: Model, pick: int) -> Lease:
    """Return a lease, the latest more often than those that must be stale by now."""
    if not model.leases:
        return NOBODYS
    return picked(pick // 3, model.leases[-3:] if pick % 3 else model.leases)


# -- putting in ----------------------------------------------------------------------------------------------

queue_options = st.fixed_dictionaries(
    {
        "default_ttl": st.sampled_from([None, None, 8.0]),
        "max_pending": st.sampled_from([None, None, 8]),
        "retention": st.sampled_from(
            [
                {"complete": 4.0, "failed": 20.0, "cancelled": None},
                {"complete": 0.0, "failed": 1.0, "cancelled": 86_400.0},
            ]
        ),
    }
)


def _consistent(new: dict[str, Any]) -> NewJob:
    """Let an id always come with the same type, so that it is met more often than it is refused."""
    if new["job_id"] is not None:
        new["job_type"] = "a" if new["job_id"] < IDS[3] else "b"
    if new["run_at"] is not None:
        new["delay"] = None
    return NewJob(**new)


new_jobs = st.fixed_dictionaries(
    {
        "job_id": st.sampled_from([None, *IDS]),
        "job_type": st.sampled_from(["a", "b"]),
        "data": st.sampled_from([{"n": 0}] * 4 + [{"n": 1}]),
        "metadata": often(None, {"team": "x"}, {"team": "y", "n": "1"}),
        "priority": often(JobPriority.NORMAL, JobPriority.LOW, JobPriority.HIGH),
        "delay": often(None, 0.0, 1.0, 4.0),
        "run_at": often(None, None, None, NEW_YEAR, NEW_YEAR + timedelta(seconds=20)),
        "ttl": often(None, 1.0, 6.0),
        "timeout": often(None, 7.0),
        "max_attempts": often(None, 2, 3),
        "retry": st.sampled_from(POLICIES),
        "max_lost": often(None, 1, 2),
        "unique_key": often(None, "k", "l"),
        "unique_until": often("finished", "started"),
        "on_conflict": st.sampled_from(["return", "replace", "reject"]),
    }
).map(_consistent)


def batches(least: int, most: int) -> st.SearchStrategy[list[NewJob]]:
    """Draw several new jobs."""
    return st.lists(new_jobs, min_size=least, max_size=most)


def enqueue(_: Model, batch: list[NewJob], plain: bool) -> calls.Call:
    return calls.Enqueue(batch, plain=plain)


def enqueue_with_a_key(model: Model, new: NewJob, key: str, again: bool, keep: float) -> calls.Call:
    known = model.keys.get(key)
    return calls.Enqueue([known[0] if again and known else new], key=key, keep=keep)


enqueueing = draft(enqueue, batch=batches(1, 3), plain=plainly)
with_a_key = draft(
    enqueue_with_a_key,
    new=new_jobs,
    key=st.sampled_from(["k", "l"]),
    again=often(True, False),
    keep=st.sampled_from([86_400.0, 5.0]),
)

# -- taking out ----------------------------------------------------------------------------------------------


def claim(_: Model, **options: Any) -> calls.Call:
    return calls.Claim(**options)


def heartbeat(model: Model, held: list[int]) -> calls.Call:
    return calls.Heartbeat([a_lease(model, pick) for pick in held])


def by_its_owner(model: Model, kind: type[calls.Change], pick: int, **options: Any) -> calls.Call:
    lease = a_lease(model, pick)
    return kind(job_id=lease.job_id, token=lease.token, **options)


def report(model: Model, pick: int, progress: float | None) -> calls.Call:
    return calls.Report(a_lease(model, pick), progress)


def log(model: Model, pick: int) -> calls.Call:
    return calls.Log(a_lease(model, pick))


claiming = draft(
    claim,
    types=often(None, ["a"], ["b", "a"]),
    limit=often(1, 3),
    lease=st.sampled_from([500, 2000, 8000]),
    worker=st.sampled_from([None, "w"]),
)
progress = st.sampled_from([None, 0.0, 0.2, 0.7, 1.0])
messages = st.sampled_from([None, "x", "y"])
failures = {
    "error_type": often(None, "Fatal"),
    "retry": often(None, False, True),
    "retry_in": often(None, 0.0, 3.0),
}


def owners(kind: type[calls.Change], **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Draft]:
    return draft(by_its_owner, kind=st.just(kind), pick=picks, plain=plainly, **options)


holding = st.one_of(
    owners(calls.Complete, results=often(None, {"done": True})),
    owners(calls.Fail, **failures),
    owners(calls.Release, delay=delays),
    owners(calls.Update, progress=progress, message=messages),
    draft(report, pick=picks, progress=progress),
    draft(log, pick=picks),
)

# -- operating -----------------------------------------------------------------------------------------------


def by_anybody(model: Model, kind: type[calls.Call], pick: int, **options: Any) -> calls.Call:
    return kind(job_id=a_job(model, pick), **options)


def anybodys(kind: type[calls.Call], **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Draft]:
    return draft(by_anybody, kind=st.just(kind), pick=picks, **options)


by_hand = st.one_of(
    anybodys(calls.Cancel, plain=plainly, reason=often(None, "enough")),
    anybodys(calls.Retry, plain=plainly),
    anybodys(calls.Delete, plain=plainly),
    anybodys(calls.Complete, plain=plainly, token=st.none(), results=st.just({"by": "hand"})),
    anybodys(calls.Fail, plain=plainly, token=st.none(), **failures),
    anybodys(calls.Update, plain=plainly, token=st.none(), progress=progress, message=messages),
    anybodys(calls.Send, progress=progress, message=messages, data=often(None, {"seen": True})),
)


def pause(model: Model, job_type: str, ends_in: int | None, reason: str | None) -> calls.Call:
    return calls.Pause(job_type, None if ends_in is None else model.now + ends_in, reason)


def resume(_: Model, job_type: str) -> calls.Call:
    return calls.Resume(job_type)


def set_job_type(_: Model, **options: Any) -> calls.Call:
    return calls.SetJobType(**options)


job_types = st.sampled_from(["a", "b"])
about_types = st.one_of(
    draft(
        pause,
        job_type=job_types,
        ends_in=st.sampled_from([None, None, 0, 2000, 5000]),
        reason=often(None, "reason"),
    ),
    draft(resume, job_type=job_types),
    draft(
        set_job_type,
        job_type=job_types,
        retry=often(None, *POLICIES),
        timeout=often(None, 9.0),
        max_lost=often(None, 1, 2),
        max_pending=often(None, None, 4),
        published=st.booleans(),
    ),
)

# -- workers and maintenance ---------------------------------------------------------------------------------


def register_worker(_: Model, worker_id: str, said: dict[str, Any]) -> calls.Call:
    return calls.RegisterWorker(worker_id, said)


def signal_worker(_: Model, worker_id: str, directive: str) -> calls.Call:
    return calls.SignalWorker(worker_id, directive)


def remove_worker(_: Model, worker_id: str) -> calls.Call:
    return calls.RemoveWorker(worker_id)


def maintain(_: Model) -> calls.Call:
    return calls.Maintain()


said = st.fixed_dictionaries(
    {},
    optional={
        "slots": st.sampled_from([1, 4]),
        "job_types": st.sampled_from([["a"], ["a", "b"]]),
        "jobs": st.sampled_from([[], ["job-1"]]),
    },
)
worker_ids = st.sampled_from(["w", "v"])
about_workers = st.one_of(
    draft(register_worker, worker_id=worker_ids, said=said),
    draft(signal_worker, worker_id=worker_ids, directive=st.sampled_from(["run", "quiet", "stop"])),
    draft(remove_worker, worker_id=worker_ids),
)

# -- looking -------------------------------------------------------------------------------------------------


def list_jobs(model: Model, after: int | None, before: int | None, **options: Any) -> calls.Call:
    """Bound the list by instants at which jobs were made."""
    created = [job.created for job in model.jobs.values()] or [model.now]
    bounds = [None if pick is None else picked(pick, created) for pick in (after, before)]
    return calls.List(after=bounds[0], before=bounds[1], **options)


listing = draft(
    list_jobs,
    statuses=often(None, *([status] for status in STATUSES), ["pending", "failed"]),
    types=often(None, ["a"], ["a", "b"]),
    after=st.none() | picks,
    before=st.none() | picks,
    metadata=often({}, {"team": "x"}),
    limit=st.sampled_from([1, 2, 50]),
)

any_draft: st.SearchStrategy[Draft] = st.one_of(
    enqueueing,
    with_a_key,
    claiming,
    claiming,
    draft(heartbeat, held=st.lists(picks, min_size=1, max_size=3)),
    holding,
    holding,
    by_hand,
    about_types,
    about_workers,
    listing,
    draft(maintain),
)
