"""A queue in plain dictionaries, written from the specification alone and for nothing but clarity.

It looks through every job for every question, so that there is no index, heap or cache to be wrong. The
property tests run the same history on it and on each backend. Times are milliseconds; calls answer with words
(``ok``, ``stale``, an error's name), tokens are numbers of its own.
"""

from __future__ import annotations

from typing import Any

WEIGHTS = {"low": 1, "normal": 5, "high": 10}
LIVE = ("pending", "processing")
TERMINAL = ("complete", "failed", "cancelled")
BASE, FACTOR, CAP = 2000, 2, 5000
"""Every job of a history backs off by this policy, without jitter."""

Spec = dict[str, Any]


class Refused(Exception):  # noqa: N818 - reads as the fact that it states
    """The call is refused with the error of this name."""


class Model:
    """All that a queue knows."""

    def __init__(self, now: int, retention: dict[str, int | None]) -> None:
        self.now = now
        self.retention = retention
        self.jobs: dict[str, dict[str, Any]] = {}
        self.types: dict[str, dict[str, Any]] = {}
        self.pauses: dict[str, int | None] = {}
        self.keys: dict[str, tuple[Any, str, int]] = {}
        self.enqueued = self.claims = 0

    # -- putting in ------------------------------------------------------------------------------------

    def enqueue(self, specs: list[Spec], key: str | None = None) -> list[tuple[str, bool, bool]]:
        """Store jobs, all or none; answer with id, created and replayed of each."""
        if key is not None and key in self.keys and self.keys[key][2] > self.now:
            body, job_id, _ = self.keys[key]
            if body != specs:
                raise Refused("IdempotencyKeyReused")
            if job_id not in self.jobs:
                raise Refused("JobGone")
            return [(job_id, False, True)]
        before = {job_id: dict(job) for job_id, job in self.jobs.items()}
        try:
            answers = [(*self._enqueue_one(spec), False) for spec in specs]
        except Refused:
            self.jobs = before
            raise
        if key is not None:
            self.keys[key] = (specs, answers[0][0], self.now + 86_400_000)
        return answers

    def _enqueue_one(self, spec: Spec) -> tuple[str, bool]:
        known = self.jobs.get(spec["id"])
        if known is not None:
            if (known["type"], known["data"]) != (spec["type"], spec["data"]):
                raise Refused("JobExists")
            return known["id"], False
        holder = self._holder(spec["type"], spec["unique_key"])
        if holder is not None:
            if spec["on_conflict"] == "reject":
                raise Refused("DuplicateJob")
            if spec["on_conflict"] == "replace" and holder["status"] == "pending":
                holder |= self._content(spec) | {
                    "updated": self.now, "changes": holder["changes"] + 1,
                    "progress": 0.0, "message": None,
                }  # fmt: skip
            return holder["id"], False
        limit = self.types.get(spec["type"], {}).get("max_pending")
        pending = [job for job in self._of("pending") if job["type"] == spec["type"]]
        if limit is not None and len(pending) >= limit:
            raise Refused("QueueFull")
        self.enqueued += 1
        self.jobs[spec["id"]] = self._content(spec) | {
            "id": spec["id"], "type": spec["type"], "status": "pending", "place": self.enqueued,
            "created": self.now, "updated": self.now, "started": None, "completed": None,
            "progress": 0.0, "message": None, "results": None, "error": None, "errors": [],
            "attempt": 0, "failures": 0, "losses": 0, "token": None, "settled": None,
            "worker": None, "log": [], "changes": 0, "prune_at": None,
        }  # fmt: skip
        return spec["id"], True

    def _content(self, spec: Spec) -> dict[str, Any]:
        due = self.now + (spec["delay"] or 0)
        return {
            "data": spec["data"], "priority": spec["priority"], "run_at": due, "ttl": spec["ttl"],
            "start_by": None if spec["ttl"] is None else due + spec["ttl"],
            "own": {name: spec[name] for name in ("max_attempts", "max_lost") if spec[name] is not None},
            "unique_key": spec["unique_key"], "until": spec["unique_until"],
            "holds": spec["unique_key"] is not None,
        }  # fmt: skip

    # -- taking out ------------------------------------------------------------------------------------

    def claim(self, types: list[str] | None, limit: int, lease: int, worker: str) -> list[tuple[str, int]]:
        """Start the best ready jobs; answer with their ids and tokens."""
        self.sweep()
        taken = []
        ready = [
            job
            for job in self._of("pending")
            if job["run_at"] <= self.now
            and (types is None or job["type"] in types)
            and not self._paused(job["type"])
        ]
        ready.sort(key=lambda job: (-WEIGHTS[job["priority"]], job["run_at"], job["place"]))
        for job in ready[:limit]:
            self.claims += 1
            job |= {
                "status": "processing", "attempt": job["attempt"] + 1, "token": self.claims, "lease": lease,
                "lease_ends": self.now + lease, "started": self.now, "worker": worker, "start_by": None,
                "progress": 0.0, "message": None, "error": None,
            }  # fmt: skip
            if job["until"] == "started":
                job["holds"] = False
            self._changed(job)
            taken.append((job["id"], self.claims))
        return taken

    def update(self, job_id: str, token: int | None, progress: float | None, message: str | None) -> str:
        refusal = self._refusal(job_id, token, LIVE)
        if refusal:
            return refusal
        job = self.jobs[job_id]
        if token is not None:
            job["lease_ends"] = self.now + job["lease"]
        progress = max(job["progress"], progress or 0.0)
        message = job["message"] if message is None else message
        if (progress, message) != (job["progress"], job["message"]):
            job |= {"progress": progress, "message": message}
            self._changed(job, "progress")
        return "ok"

    def heartbeat(self, job_id: str, token: int) -> tuple[str, int]:
        """Answer with the lease's state and the milliseconds that it has."""
        job = self.jobs.get(job_id)
        if job is not None and job["token"] == token:
            job["lease_ends"] = self.now + job["lease"]
        return self.look(job_id, token)

    def look(self, job_id: str, token: int) -> tuple[str, int]:
        """Answer as a heartbeat does, and renew nothing."""
        job = self.jobs.get(job_id)
        if job is not None and job["token"] == token:
            return "ok", max(0, job["lease_ends"] - self.now)
        cancelled = job is not None and job["status"] == "cancelled" and job["settled"] == ("cancel", token)
        return "cancelled" if cancelled else "lost", 0

    def complete(self, job_id: str, token: int | None, results: Any) -> str:
        refusal = self._refusal(job_id, token, LIVE, "complete")
        if refusal:
            return refusal
        self._end(self.jobs[job_id], "complete", None, token, "complete")
        self.jobs[job_id] |= {"results": results, "progress": 1.0}
        self._changed(self.jobs[job_id])
        return "ok"

    def fail(
        self, job_id: str, token: int | None, error: str, retry: bool | None, retry_in: int | None
    ) -> str:
        refusal = self._refusal(job_id, token, LIVE, "fail")
        if refusal:
            return refusal
        job = self.jobs[job_id]
        job["failures"] += 1
        self._note(job, error)
        if retry is False or job["failures"] >= self.setting(job, "max_attempts", 1):
            self._end(job, "failed", error, token, "fail")
        else:
            backoff = min(CAP, BASE * FACTOR ** (job["failures"] - 1))
            self._put_back(job, self.now + (backoff if retry_in is None else retry_in), token, "fail")
        self._changed(job)
        return "ok"

    def release(self, job_id: str, token: int, delay: int | None) -> str:
        refusal = self._refusal(job_id, token, ("processing",), "release")
        if refusal:
            return refusal
        job = self.jobs[job_id]
        self._put_back(job, job["run_at"] if delay is None else self.now + delay, token, "release")
        self._changed(job)
        return "ok"

    # -- operating -------------------------------------------------------------------------------------

    def cancel(self, job_id: str, reason: str | None) -> str:
        refusal = self._refusal(job_id, None, LIVE)
        if refusal:
            return refusal
        self._end(self.jobs[job_id], "cancelled", reason, self.jobs[job_id]["token"], "cancel")
        self._changed(self.jobs[job_id])
        return "ok"

    def retry(self, job_id: str) -> str:
        refusal = self._refusal(job_id, None, ("failed", "cancelled"))
        if refusal:
            return refusal
        job = self.jobs[job_id]
        if self._holder(job["type"], job["unique_key"]) is not None:
            return "conflict"
        job |= {
            "status": "pending", "run_at": self.now, "failures": 0, "losses": 0, "progress": 0.0,
            "message": None, "results": None, "error": None, "completed": None, "prune_at": None,
            "start_by": None if job["ttl"] is None else self.now + job["ttl"],
            "holds": job["unique_key"] is not None,
        }  # fmt: skip
        self._changed(job)
        return "ok"

    def delete(self, job_id: str) -> str:
        refusal = self._refusal(job_id, None, TERMINAL)
        if not refusal:
            del self.jobs[job_id]
        return refusal or "ok"

    def send(self, job_id: str, message: str) -> bool:
        job = self.jobs.get(job_id)
        if job is None or job["status"] not in LIVE:
            return False
        self._publish(job, "custom", message)
        return True

    def log(self, job_id: str, token: int, text: str) -> str:
        refusal = self._refusal(job_id, token, ("processing",))
        if not refusal:
            self._publish(self.jobs[job_id], "log", text)
        return refusal or "ok"

    def pause(self, job_type: str, until: int | None) -> None:
        self.pauses[job_type] = until

    def resume(self, job_type: str) -> None:
        self.pauses.pop(job_type, None)

    # -- time ------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Rescue what lost its lease and expire what did not start in time."""
        for job in self._of("processing"):
            if job["lease_ends"] > self.now:
                continue
            job["losses"] += 1
            self._note(job, None)
            if job["losses"] >= self.setting(job, "max_lost", 3):
                self._end(job, "failed", f"lease lost {job['losses']} times")
            else:
                self._put_back(job, job["run_at"])
            self._changed(job)
        for job in self._of("pending"):
            if job["start_by"] is not None and job["start_by"] <= self.now:
                self._end(job, "failed", "expired")
                self._changed(job)

    def prune(self) -> int:
        gone = [
            job for job in self.jobs.values() if job["prune_at"] is not None and job["prune_at"] <= self.now
        ]
        for job in gone:
            del self.jobs[job["id"]]
        return len(gone)

    # -- looking ---------------------------------------------------------------------------------------

    def next_due(self, types: list[str] | None) -> int | None:
        """Answer with the next instant to claim at, after a claim that found nothing."""
        due: list[int | None] = [job["lease_ends"] for job in self._of("processing")]
        for job_type in {"a", "b"} if types is None else types:
            waiting = [job for job in self._of("pending") if job["type"] == job_type]
            if self._paused(job_type) and (waiting or types is not None):
                due.append(self.pauses[job_type])
            elif not self._paused(job_type):
                due += [job["run_at"] for job in waiting]
        return min((at for at in due if at is not None), default=None)

    def counts(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for job in self.jobs.values():
            of_type = found.setdefault(job["type"], {})
            of_type[job["status"]] = of_type.get(job["status"], 0) + 1
        return found

    def stats(self) -> dict[str, tuple[int, int, int, int | None]]:
        """Answer with ready, running, delayed and the oldest ready job's age of each type with live jobs."""
        found = {}
        for job_type in {job["type"] for job in self._of("pending") + self._of("processing")}:
            pending = [job for job in self._of("pending") if job["type"] == job_type]
            ready = [job for job in pending if job["run_at"] <= self.now]
            running = [job for job in self._of("processing") if job["type"] == job_type]
            oldest = max((self.now - job["run_at"] for job in ready), default=None)
            found[job_type] = (len(ready), len(running), len(pending) - len(ready), oldest)
        return found

    def listed(self, status: str | None, job_type: str | None) -> list[str]:
        jobs = [job for job in self.jobs.values() if job_type is None or job["type"] == job_type]
        if status is not None:
            jobs = [job for job in jobs if job["status"] == status]
        orders = {
            None: lambda job: (-job["place"],),
            "pending": lambda job: (-WEIGHTS[job["priority"]], job["run_at"], job["place"]),
            "processing": lambda job: (-job["started"], -job["place"]),
        }
        order = orders.get(status, lambda job: (-job["completed"], -job["place"]))
        return [job["id"] for job in sorted(jobs, key=order)]

    def setting(self, job: dict[str, Any], name: str, default: int) -> int:
        """Return a setting in force: the job's, else its type's, else the default."""
        value = job["own"].get(name)
        if value is None:
            value = self.types.get(job["type"], {}).get(name)
        return default if value is None else value

    # -- the parts -------------------------------------------------------------------------------------

    def _of(self, status: str) -> list[dict[str, Any]]:
        return [job for job in self.jobs.values() if job["status"] == status]

    def _paused(self, job_type: str) -> bool:
        return job_type in self.pauses and (self.pauses[job_type] is None or self.pauses[job_type] > self.now)

    def _holder(self, job_type: str, key: str | None) -> dict[str, Any] | None:
        if key is None:
            return None
        for job in self.jobs.values():
            if job["holds"] and (job["type"], job["unique_key"]) == (job_type, key):
                return job
        return None

    def _refusal(
        self, job_id: str, token: int | None, allowed: tuple[str, ...], settling: str | None = None
    ) -> str | None:
        job = self.jobs.get(job_id)
        if job is None:
            return "unknown"
        if token is not None and token != job["token"]:
            return "repeated" if settling and job["settled"] == (settling, token) else "stale"
        return None if job["status"] in allowed else "terminal"

    def _put_back(
        self, job: dict[str, Any], run_at: int, token: int | None = None, verb: str | None = None
    ) -> None:
        job |= {"status": "pending", "run_at": run_at, "token": None}
        if token is not None:
            job["settled"] = (verb, token)

    def _end(
        self,
        job: dict[str, Any],
        status: str,
        error: str | None,
        token: int | None = None,
        verb: str | None = None,
    ) -> None:
        keep = self.retention[status]
        job |= {
            "status": status, "error": error, "completed": self.now, "token": None, "holds": False,
            "start_by": None, "prune_at": None if keep is None else self.now + keep,
        }  # fmt: skip
        if token is not None:
            job["settled"] = (verb, token)

    def _note(self, job: dict[str, Any], message: str | None) -> None:
        job["errors"] = [*job["errors"], (job["attempt"], message)][-20:]

    def _changed(self, job: dict[str, Any], kind: str = "status") -> None:
        job["updated"] = self.now
        job["changes"] += 1
        self._publish(job, kind, job["message"])

    def _publish(self, job: dict[str, Any], kind: str, message: str | None) -> None:
        message = job["message"] if message is None else message
        job["log"] = [*job["log"], (kind, job["status"], job["attempt"], job["progress"], message)]
