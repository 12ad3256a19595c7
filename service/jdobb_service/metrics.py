"""What Prometheus scrapes: facts of this process, counted as they come, and the queue as it stands.

Everything is in a registry of the application's own. Counters and histograms are of this process, gauges of
the queue are the same in every process on it: sum the former, take the maximum of the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from jdobb_async_queue import Job, JobTypeStats, Outcome, Submission, facts

MAX_JOB_TYPES = 100
"""Job types that are named besides those with a handler here; callers can invent any number."""
OTHER = "other"
TEXT, OPENMETRICS = exposition.CONTENT_TYPE_PLAIN_0_0_4, openmetrics.CONTENT_TYPE_LATEST

_WAIT = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_RUN = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_FINAL = frozenset({"complete", "failed"})
_UNSETTLED = frozenset({"cancelled", "lost"})


class JobTypeLabels:
    """Which job types are named in labels; the others are ``other``.

    The ``handled`` ones always are, of the rest the first that come.
    """

    def __init__(self, handled: Iterable[str], limit: int = MAX_JOB_TYPES) -> None:
        self.handled = frozenset(handled)
        self._limit = limit
        self._others: set[str] = set()

    def of(self, job_type: str) -> str:
        """Return the label of a job type."""
        if job_type in self.handled or job_type in self._others:
            return job_type
        if len(self._others) >= self._limit:
            return OTHER
        self._others.add(job_type)
        return job_type


@dataclass(frozen=True, slots=True)
class Now:
    """What is read at a scrape; ``queue`` is None when the backend did not answer."""

    version: str
    backend: str
    queue: Mapping[str, JobTypeStats] | None
    streams: int
    waits: int
    workers: int = 0
    restarts: int = 0


@dataclass(slots=True)
class _Sum:
    ready: int = 0
    running: int = 0
    delayed: int = 0
    oldest: float = 0.0

    def add(self, stats: JobTypeStats) -> None:
        self.ready += stats.ready
        self.running += stats.running
        self.delayed += stats.delayed
        self.oldest = max(self.oldest, stats.oldest_ready_age or 0.0)


class Metrics:
    """The counters and histograms of one application."""

    def __init__(self, handled: Iterable[str] = (), *, backend: str) -> None:
        self._labels, self._backend = JobTypeLabels(handled), backend
        registry = self._registry = CollectorRegistry(auto_describe=True)
        by_type, by_outcome = ("job_type",), ("job_type", "outcome")
        enqueued = Counter(
            "jdobb_jobs_enqueued", "Jobs that requests to this process stored.", by_type, registry=registry
        )
        self._enqueued_of = cache(enqueued.labels)
        self._finished = Counter(
            "jdobb_jobs_finished", "Jobs that this process moved to a final status.", by_outcome,
            registry=registry,
        )  # fmt: skip
        self._attempts = Counter(
            "jdobb_job_attempts", "Attempts of this process's worker that ended.", by_outcome,
            registry=registry,
        )  # fmt: skip
        self._waited = Histogram(
            "jdobb_job_wait_seconds", "From the time that a job was ready to its claim by this process.",
            by_type, buckets=_WAIT, registry=registry,
        )  # fmt: skip
        self._ran = Histogram(
            "jdobb_job_run_seconds", "From the start of a handler to the end of its attempt.", by_outcome,
            buckets=_RUN, registry=registry,
        )  # fmt: skip
        self._rescued = Counter(
            "jdobb_leases_expired",
            "Expired leases that sweeps of this process found.",
            registry=registry,
        )
        self._expired = Counter(
            "jdobb_jobs_expired",
            "Jobs whose ttl ran out, found by sweeps of this process.",
            registry=registry,
        )
        self._errors = Counter(
            "jdobb_backend_errors", "Calls that the backend did not answer, by who made them.",
            ("backend", "source"), registry=registry,
        )  # fmt: skip

    def stored(self, submission: Submission) -> None:
        """Count a job that a request brought, unless it was there before."""
        if submission.created:
            self._enqueued_of(self._labels.of(submission.job.job_type)).inc()

    def settled(self, outcome: Outcome, job: Job) -> None:
        """Count a job that a request has moved to a final status, if it has."""
        if outcome is Outcome.OK and job.status.is_terminal:
            self._finished.labels(self._labels.of(job.job_type), job.status.value).inc()

    def backend_failed(self, source: str) -> None:
        """Count a call that the backend did not answer."""
        self._errors.labels(self._backend, source).inc()

    def observe(self, fact: facts.Fact) -> None:
        """Count a fact; a listener of workers."""
        match fact:
            case facts.JobStarted():
                self._waited.labels(self._labels.of(fact.job_type)).observe(fact.waited)
            case facts.JobSettled(_, job_type, _, outcome, seconds):
                label = self._labels.of(job_type)
                self._attempts.labels(label, outcome).inc()
                self._ran.labels(label, outcome).observe(seconds)
                if outcome in _FINAL:
                    self._finished.labels(label, outcome).inc()
            case facts.JobStopped(_, job_type, _, reason) if reason in _UNSETTLED:
                self._attempts.labels(self._labels.of(job_type), reason).inc()
            case facts.JobsSwept(rescued, expired):
                self._rescued.inc(rescued)
                self._expired.inc(expired)
            case facts.BackendLost(loop):
                self.backend_failed(loop)

    def render(
        self, now: Now, *, accept: str = "", sees: Callable[[str], bool] | None = None
    ) -> tuple[bytes, str]:
        """Return the exposition and its media type: OpenMetrics if ``accept`` names it, else plain text.

        ``sees`` tells of which job types the caller may know; it hides ``other``, too.
        """
        families = [*self._registry.collect(), *self._gauges(now)]
        for family in families:
            family.samples = [
                sample
                for sample in family.samples
                if not sample.name.endswith("_created") and _is_seen(sample.labels.get("job_type"), sees)
            ]
        view = _View(families)
        if "application/openmetrics-text" in accept:
            return openmetrics.generate_latest(view), OPENMETRICS  # type: ignore[no-untyped-call]  # prometheus-client's
        return exposition.generate_latest(view), TEXT

    def _gauges(self, now: Now) -> list[Metric]:
        build = InfoMetricFamily(
            "jdobb_build", "The service.", {"version": now.version, "backend": now.backend}
        )
        up = GaugeMetricFamily("jdobb_backend_up", "Whether the backend answered this scrape.")
        up.add_metric([], 0.0 if now.queue is None else 1.0)
        streams = GaugeMetricFamily("jdobb_sse_clients", "Open event streams.", now.streams)
        waits = GaugeMetricFamily("jdobb_waiting_requests", "Requests that wait for a job.", now.waits)
        workers = GaugeMetricFamily("jdobb_workers", "Workers that run in this process.", now.workers)
        restarts = CounterMetricFamily(
            "jdobb_worker_restarts", "How often this process's worker was started anew.", now.restarts
        )
        return [build, up, streams, waits, workers, restarts, *self._queue_gauges(now.queue or {})]

    def _queue_gauges(self, queue: Mapping[str, JobTypeStats]) -> list[Metric]:
        jobs = GaugeMetricFamily("jdobb_queue_jobs", "Jobs that wait or run.", labels=["job_type", "state"])
        latency = GaugeMetricFamily(
            "jdobb_queue_latency_seconds", "Age of the oldest ready job, 0 if none is.", labels=["job_type"]
        )
        sums: dict[str, _Sum] = {}
        for job_type, stats in queue.items():
            sums.setdefault(self._labels.of(job_type), _Sum()).add(stats)
        for label, found in sorted(sums.items()):
            for state in ("ready", "running", "delayed"):
                jobs.add_metric([label, state], getattr(found, state))
            latency.add_metric([label], found.oldest)
        return [jobs, latency]


class _View(Collector):
    """Families that were collected already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _is_seen(job_type: str | None, sees: Callable[[str], bool] | None) -> bool:
    return job_type is None or sees is None or (job_type != OTHER and sees(job_type))
