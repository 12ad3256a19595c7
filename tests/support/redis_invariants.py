"""What holds between the keys of a namespace in Redis whenever no call is under way.

Everything that can be told from the jobs themselves (indexes, leases, unique keys, figures) is told from
them anew and compared as a whole, so that neither what is missing nor what was left behind passes.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from typing import Any

import redis

from jdobb_async_queue.backends.base import UPDATES_KEPT
from jdobb_async_queue.backends.redis import RedisBackend
from jdobb_async_queue.backends.redis.keys import KEYS, RANK, STATUSES, WEIGHT_RANKS, Key, prefix_of
from jdobb_async_queue.clock import Clock
from jdobb_async_queue.models import JobTypeStats
from tests.support.waiting import WITHIN

Job = dict[str, str]
Scores = dict[str, float]

LIVE, TERMINAL = frozenset("pa"), frozenset("cfx")
CALLS_KEPT = 60_000
ERRORS_KEPT = 20
FIELDS = set(
    "id t s w q c u r a f v e pg m ttl sb n fl ls ml uk us hk wi k ln st x l tr l1 lg er".split()  # noqa: SIM905
)
"""The fields of a job; see ``lua/jobs.lua``."""
_PATTERNS = [(key, re.compile(re.sub(r"<\w+>", "(.+)", key.name), re.DOTALL)) for key in KEYS]
_READ = {
    "string": lambda pipe, name: pipe.get(name),
    "hash": lambda pipe, name: pipe.hgetall(name),
    "list": lambda pipe, name: pipe.lrange(name, 0, -1),
    "set": lambda pipe, name: pipe.smembers(name),
    "zset": lambda pipe, name: pipe.zrange(name, 0, -1, withscores=True),
}
_INDEXES = ("types", "all:<type>", *(f"x:{letter}:<type>" for letter in STATUSES), "deadlines", "prune")


def keys_of(name: str) -> list[Key]:
    """Return the described keys of which a real one, without its prefix, is an instance."""
    return [key for key, pattern in _PATTERNS if pattern.fullmatch(name)]


async def check_database(url: str, clock: Clock) -> None:
    """Check every namespace of a database, and that a backend counts what is there."""
    with redis.Redis.from_url(
        url, decode_responses=True, encoding_errors="surrogateescape", socket_timeout=WITHIN
    ) as client:
        for name in client.scan_iter("{*.0}:schema", count=1000):
            await check_namespace(client, url, name.removeprefix("{").removesuffix(".0}:schema"), clock)


async def check_namespace(client: redis.Redis, url: str, namespace: str, clock: Clock) -> None:
    """Check one namespace, and that a backend counts what is there."""
    keys = NamespaceKeys(client, namespace)
    keys.check()
    backend = RedisBackend(url, namespace=namespace, clock=clock)
    await backend.open()
    try:
        assert await backend.counts() == keys.counts()
        assert await backend.stats() == keys.stats(backend.now())
    finally:
        await backend.close()


class NamespaceKeys:
    """All keys of a namespace as they are at one time, by their names without the prefix.

    A key that expires while they are read is left out.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        prefix = prefix_of(namespace)
        names = sorted(set(client.scan_iter(prefix + "*", count=1000)))
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(name)
                pipe.pttl(name)
            told = pipe.execute()
            types = {name: kind for name, kind in zip(names, told[::2], strict=True) if kind != "none"}
            for name, kind in types.items():
                _READ[kind](pipe, name)
            values = pipe.execute()
        self.ttls = {name.removeprefix(prefix): ttl for name, ttl in zip(names, told[1::2], strict=True)}
        self.values: dict[str, Any] = {}
        self.instances: dict[str, dict[str, Any]] = defaultdict(dict)
        """For each described key what its instances hold, by what stands in place of ``<…>``."""
        for (full_name, kind), value in zip(types.items(), values, strict=True):
            if not value and value != "":
                continue  # it has just expired
            name = full_name.removeprefix(prefix)
            described = keys_of(name)
            assert [key.type for key in described] == [kind], (name, kind, described)
            self.values[name] = dict(value) if kind == "zset" else value
            self.instances[described[0].name][name.partition(":")[2]] = self.values[name]
        self.jobs: dict[str, Job] = {
            job_id: json.loads(stored) for job_id, stored in self.instances["j:<id>"].items()
        }

    def check(self) -> None:
        """Assert all that holds."""
        for job_id, job in self.jobs.items():
            check_fields(job_id, job)
        self.check_what_belongs_to_jobs()
        self.check_indexes()
        self.check_leases()
        self.check_unique_keys()
        self.check_logs()
        self.check_pairs()
        self.check_rest()

    # -- jobs ------------------------------------------------------------------------------------------

    def check_what_belongs_to_jobs(self) -> None:
        """Each job has its payload; results, errors and a log stand only where a job says so."""
        assert set(self.instances["d:<id>"]) == set(self.jobs)
        assert set(self.instances["e:<id>"]) == self.jobs_with("er")
        assert set(self.instances["u:<id>"]) == self.jobs_with("lg")
        assert set(self.instances["o:<id>"]) <= {
            job_id for job_id, job in self.jobs.items() if job["s"] == "c"
        }
        assert all(len(errors) <= ERRORS_KEPT for errors in self.instances["e:<id>"].values())
        newest = max((int(job["q"], 16) for job in self.jobs.values()), default=0)
        assert int(self.values["seq"]) >= newest

    def check_indexes(self) -> None:
        """Each job is in the index of its status and type, at its place, and in no other."""
        expected: dict[str, Any] = defaultdict(dict)
        for job_id, job in self.jobs.items():
            member = job["q"] + job_id
            expected[f"x:{job['s']}:{job['t']}"][member] = score_of(job)
            expected[f"all:{job['t']}"][job_id] = int(job["q"], 16)
            for field, index in (("sb", "deadlines"), ("x", "prune")):
                if field in job:
                    expected[index][member] = int(job[field])
        if self.jobs:
            expected["types"] = {job["t"] for job in self.jobs.values()}
        found = {name: value for name, value in self.values.items() if keys_of(name)[0].name in _INDEXES}
        assert found == expected

    def check_leases(self) -> None:
        """Each job that is processed has a lease of at most its length, and no other job has one."""
        leases: Scores = self.values.get("leases", {})
        expected = {f"{job_id}|{job['k']}": job for job_id, job in self.jobs.items() if job["s"] == "a"}
        assert set(leases) == set(expected)
        for lease, job in expected.items():
            assert leases[lease] >= int(job["a"]) + int(job["ln"]), (lease, job)

    def check_unique_keys(self) -> None:
        """Each unique key is held by the job that says so; a live job holds its own."""
        held = {f"{job['t']} {job['uk']}": job_id for job_id, job in self.jobs.items() if "hk" in job}
        assert len(held) == len(self.jobs_with("hk"))
        assert self.values.get("unique", {}) == held

    def check_logs(self) -> None:
        """Each log is in order, ends with the latest update, and begins after what was trimmed."""
        for job_id, log in self.instances["u:<id>"].items():
            seqs = [int(line.partition("|")[0]) for line in log]
            job = self.jobs[job_id]
            assert seqs == sorted(set(seqs)), job_id
            assert len(seqs) <= UPDATES_KEPT, job_id
            assert seqs[-1] == int(job["l"]), job_id
            assert seqs[0] > int(job.get("tr", 0)), job_id

    def jobs_with(self, field: str) -> set[str]:
        """Return the ids of the jobs that have a field."""
        return {job_id for job_id, job in self.jobs.items() if field in job}

    # -- everything else -------------------------------------------------------------------------------

    def check_pairs(self) -> None:
        """What is kept in one key and found by another is in both."""
        ends = {
            field: float(bound.rpartition("|")[2])
            for field, bound in self.values.get("idempotency", {}).items()
        }
        assert self.values.get("idempotency_ends", {}) == ends
        assert self.values.get("settings", set()) == set(self.instances["type:<type>"])
        assert set(self.values.get("worker_beats", {})) == set(self.instances["worker:<name>"])
        for instants, figures in (("minutes", "minute:<instant>"), ("hours", "errors:<instant>")):
            expected = {instant: float(instant) for instant in self.instances[figures]}
            assert self.values.get(instants, {}) == expected

    def check_rest(self) -> None:
        """A marker is a marker, the layout is known, and only what a call did goes by itself."""
        for marker in [*self.instances["wake:<type>"].values(), *self.instances["wake"].values()]:
            assert marker == {"1": 0}
        assert self.values["schema"] == "1"
        for name in self.values:
            ttl = self.ttls[name]
            if name.startswith("calls:"):
                assert 0 < ttl <= CALLS_KEPT, (name, ttl)
            else:
                assert ttl == -1, (name, ttl)

    # -- figures ---------------------------------------------------------------------------------------

    def counts(self) -> dict[str, dict[str, int]]:
        """Return what ``counts()`` has to say, counted job by job."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for job in self.jobs.values():
            found[job["t"]][STATUSES[job["s"]]] += 1
        return {job_type: dict(counter) for job_type, counter in found.items()}

    def stats(self, now: int) -> dict[str, JobTypeStats]:
        """Return what ``stats()`` has to say, counted job by job."""
        running, waiting = Counter[str](), defaultdict(list)
        for job in self.jobs.values():
            if job["s"] == "a":
                running[job["t"]] += 1
            elif job["s"] == "p":
                waiting[job["t"]].append(run_at_of(job))
        found = {}
        for job_type in {*running, *waiting}:
            ready = [run_at for run_at in waiting[job_type] if run_at <= now]
            found[job_type] = JobTypeStats(
                ready=len(ready),
                running=running[job_type],
                delayed=len(waiting[job_type]) - len(ready),
                oldest_ready_age=(now - min(ready)) / 1000 if ready else None,
            )
        return found


def check_fields(job_id: str, job: Job) -> None:
    """Assert that a job has the fields of its status, and none of another."""
    status = job["s"]
    assert set(job) <= FIELDS, job_id
    assert job["id"] == job_id
    assert {"t", "w", "q", "c"} <= set(job), job_id
    only_in = {"k": "a", "f": TERMINAL, "sb": "p", "x": TERMINAL, "hk": LIVE}
    for field, statuses in only_in.items():
        assert field not in job or status in statuses, (job_id, field, job)
    assert status != "a" or {"k", "ln", "a"} <= set(job), job_id
    assert status not in TERMINAL or "f" in job, job_id
    if status == "p" and "n" not in job:
        assert ("sb" in job) == ("ttl" in job), (job_id, job)
    assert "sb" not in job or "ttl" in job, job_id
    if "uk" in job and "us" not in job:
        assert ("hk" in job) == (status in LIVE), (job_id, job)
    assert "hk" not in job or "uk" in job, job_id
    assert "l1" not in job or ("l" in job and "lg" not in job), job_id


def run_at_of(job: Job) -> int:
    """Return the instant from which a job may run."""
    return int(job.get("r", job["c"]))


def score_of(job: Job) -> int:
    """Return the score of a job in the index of its status."""
    if job["s"] == "p":
        return WEIGHT_RANKS[int(job["w"])] * RANK + run_at_of(job)
    return int(job["a" if job["s"] == "a" else "f"])
