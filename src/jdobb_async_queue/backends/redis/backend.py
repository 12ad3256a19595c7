"""Jobs in one Redis server, for any number of processes on any number of machines."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from jdobb_async_queue.backends import refusals
from jdobb_async_queue.backends.base import (
    DEFAULT_NAMESPACE,
    PAGE_BYTES,
    UPDATES_KEPT,
    Applied,
    Claimed,
    ClaimRequest,
    LeaseAnswer,
    QueueBackend,
    RecordPage,
    Stored,
    Swept,
    UpdatePage,
)
from jdobb_async_queue.backends.bells import CANCELLED, Bell, Bells
from jdobb_async_queue.backends.forks import guard_fork
from jdobb_async_queue.backends.history import HOUR, MINUTE
from jdobb_async_queue.backends.redis import figures, listing, scripts, wire
from jdobb_async_queue.backends.redis.checks import check_server
from jdobb_async_queue.backends.redis.connection import Connection
from jdobb_async_queue.backends.redis.hub import Hub
from jdobb_async_queue.backends.redis.keys import prefix_of
from jdobb_async_queue.backends.redis.lane import FLIGHTS, MAX_OPERATIONS, Lane
from jdobb_async_queue.backends.redis.scripts import Operation, script
from jdobb_async_queue.backends.redis.urls import check_url
from jdobb_async_queue.backends.redis.waker import Waker
from jdobb_async_queue.clock import Ids, SystemClock, system_random
from jdobb_async_queue.encoding import EMPTY, canonical
from jdobb_async_queue.errors import (
    BackendUnavailable,
)
from jdobb_async_queue.models import JobTypeStats, Outcome
from jdobb_async_queue.records import Retention
from jdobb_async_queue.transitions import Transition

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from jdobb_async_queue.backends.base import Durability, LeaseRef, ListQuery
    from jdobb_async_queue.backends.redis.scripts import Argument
    from jdobb_async_queue.clock import Clock
    from jdobb_async_queue.models import ErrorGroup, HistoryPoint, Idempotency
    from jdobb_async_queue.records import JobRecord, NewRecord, TypeRecord, WorkerBeat, WorkerRecord

_CLOSE_WITHIN = 3.0
_DONE_BEFORE = 4
"""How many parts a script's reply has that ends with the instant of a call that was done before."""
_STATUSES = ("pending", "processing", "complete", "failed", "cancelled")


class RedisBackend(QueueBackend):
    """A queue in one Redis (or Valkey) server.

    What is acknowledged is as durable as the server is set up to be: ``durability`` says what was found.
    ``clock`` replaces the server's, for tests.
    """

    name: ClassVar[str] = "redis"
    idle_interval = 6.5
    flights = FLIGHTS

    def __init__(
        self,
        url: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        updates_kept: int = UPDATES_KEPT,
        max_batch: int = MAX_OPERATIONS,
    ) -> None:
        self._rng = rng or system_random()
        self._given_clock = clock
        self._clock = clock or SystemClock()
        self._ids = Ids(self._clock, self._rng)
        self.namespace = namespace
        self._prefix = prefix_of(namespace)
        self._keys = (self._prefix + "seq", self._prefix + "never")
        self._updates_kept = updates_kept
        self._connection = Connection(check_url(url), self._rng)
        self._bells = Bells()
        self._hub = Hub(self._connection, self._prefix, self._bells)
        self._waker = Waker(self._connection, self._prefix, self._bells)
        self._caller = secrets.token_hex(4)
        self._calls = 0
        self._offset = 0
        self._durability: Durability = "none"
        self._types: dict[str, tuple[bytes, TypeRecord]] = {}
        self._max_batch = max_batch
        self._lanes: dict[str, Lane] = {}

    # -- life ------------------------------------------------------------------------------------------

    @property
    def durability(self) -> Durability:
        """Return what an acknowledged write survives, as the server is set up; known once it is open."""
        return self._durability

    async def open(self) -> None:
        """Connect and look at the server; see ``QueueBackend.open``."""
        if self._lanes:
            return
        await self._connection.open()
        guard_fork(self)
        try:
            self._durability = await check_server(self._connection, self._prefix)
        except BaseException:
            await self._connection.close()
            raise
        self._lanes = {
            name: Lane(name, self._connection.place, self._send, max_operations=self._max_batch)
            for name in ("plain", "store", "work", "read")
        }

    async def close(self) -> None:
        """Finish what was called and let go of the connections; see ``QueueBackend.close``."""
        if self._connection.is_forked:
            return
        self._connection.is_closing = True
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(lane.close(_CLOSE_WITHIN) for lane in lanes.values()))
        await self._waker.close()
        await self._hub.close()
        await self._connection.close()
        self._bells.ring_all()

    def connections(self) -> list[object]:
        """Return what a forked child must neither use nor close."""
        return self._connection.pools()

    def now(self) -> int:
        """Return the server's clock, as far as it is known: it comes with every answer."""
        return self._clock.now() + self._offset

    def lease_token(self) -> str:
        """Return a new lease token."""
        return self._ids.lease_token()

    # -- atomic writes ---------------------------------------------------------------------------------

    async def store(
        self, jobs: Sequence[NewRecord], *, idempotency: Idempotency | None = None
    ) -> list[Stored]:
        """Insert new jobs; see ``QueueBackend.store``."""
        if jobs and idempotency is None and all(map(scripts.is_plain, jobs)):
            first, now = await self._call("plain", scripts.plain(jobs))
            if first is not None:
                return [self._created(new, now, first + place) for place, new in enumerate(jobs)]
        return await self._store(jobs, idempotency)

    async def _store(self, jobs: Sequence[NewRecord], idempotency: Idempotency | None) -> list[Stored]:
        same: frozenset[int] = frozenset()
        while True:
            answer, now = await self._call("store", scripts.store(jobs, idempotency, same))
            word = answer[0].decode()
            if word == "stored":
                return [
                    self._stored(new, item, now) for new, item in zip(jobs, answer[1:], strict=True)
                ]  # fmt: skip
            if word != "compare":
                raise wire.to_refusal(answer)
            place = int(answer[1]) - 1
            data = wire.unpack(answer[2])[0] or EMPTY
            if canonical(data) != canonical(jobs[place].data):
                raise refusals.exists(jobs[place].id)
            same |= {place}

    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        """Claim jobs in claim order; see ``QueueBackend.claim_pending_jobs``."""
        operation = scripts.claim(request)
        with self._waker.claiming():
            while True:
                (jobs, due, is_broken_off), _ = await self._lane("work").call(operation, take_back=_release)
                if jobs or not is_broken_off:
                    break
        if len(jobs) == request.limit:
            self._waker.settle(request.job_types)
        return Claimed([self._record(shown) for shown in jobs], int(due) if due else None)

    async def apply(self, changes: Sequence[Transition], *, records: bool = True) -> list[Applied]:
        """Apply guarded transitions; see ``QueueBackend.apply``."""
        moves = [scripts.move(change, show=records) for change in changes]
        answers = await self._lane("work").call_all(moves)
        return [
            Applied(Outcome(word.decode()), None if shown is None else self._record(shown))
            for (word, shown), _ in answers
        ]

    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        """Renew or look at leases; see ``QueueBackend.heartbeat``."""
        answer, _ = await self._call("work", scripts.heartbeat(leases))
        return [LeaseAnswer(status.decode(), int(expires_in)) for status, expires_in in answer]

    async def delete(self, job_ids: Sequence[str]) -> list[Outcome]:
        """Remove terminal jobs; see ``QueueBackend.delete``."""
        answer, _ = await self._call("work", Operation("delete", list(job_ids)))
        return [Outcome(word.decode()) for word in answer]

    async def sweep(self, limit: int, retention: Retention) -> Swept:
        """Rescue and expire due jobs; see ``QueueBackend.sweep``."""
        answer, _ = await self._call("work", scripts.sweep(limit, retention))
        return Swept(int(answer[0]), int(answer[1]))

    async def prune(self, limit: int) -> int:
        """Remove what is past its retention; see ``QueueBackend.prune``."""
        answer, _ = await self._call("work", Operation("prune", [limit]))
        return int(answer)

    # -- reads -----------------------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        """Return the jobs with these ids, None for each unknown one."""
        if not job_ids:
            return []
        answer, _ = await self._call("read", Operation("get", list(job_ids)))
        return [None if shown is None else self._record(shown) for shown in answer]

    async def list_jobs(self, query: ListQuery) -> RecordPage:
        """Return a page of jobs; see ``QueueBackend.list_jobs``."""
        types: Sequence[str] | None = query.job_types
        if query.matches_nothing:
            return RecordPage([], None)
        if types is None:
            types = [name.decode() for name in await self._read(Operation("types", []))]
        return await listing.list_jobs(query, types, self._read, self.get)

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each type have each status."""
        rows = await self._read(Operation("figures", []))
        return {
            row[0].decode(): {status: n for status, n in zip(_STATUSES, map(int, row[1:6]), strict=True) if n}
            for row in rows
        }

    async def stats(self) -> dict[str, JobTypeStats]:
        """Return ready, running, delayed and the oldest ready age, per type with live jobs."""
        rows, now = await self._call("read", Operation("figures", []))
        return {row[0].decode(): figures.stats(row, now) for row in rows if int(row[1]) or int(row[2])}

    async def read_updates(self, job_id: str, after: int, limit: int = 512) -> UpdatePage | None:
        """Return the job and its kept updates after a seq."""
        answer = await self._read(Operation("updates", [job_id, after, limit, PAGE_BYTES]))
        if answer is None:
            return None
        shown, lines = answer
        record = self._record(shown)
        updates = wire.to_updates(shown, lines, record)
        return UpdatePage(record, [update for update in updates if update.seq > after][:limit])

    async def history(self, since: int) -> list[HistoryPoint]:
        """Return the per-minute figures from ``since`` on."""
        rows = await self._read(Operation("history", ["minutes", "minute", since - MINUTE]))
        return figures.points(rows)

    async def error_groups(self, since: int) -> list[ErrorGroup]:
        """Return failed attempts since then, grouped."""
        rows = await self._read(Operation("history", ["hours", "errors", since - HOUR]))
        return figures.errors(rows)

    # -- waiting ---------------------------------------------------------------------------------------

    @contextmanager
    def watch(self, topics: Sequence[str]) -> Iterator[Bell]:
        """Yield a bell for these topics."""
        self._connection.check_process()
        with self._bells.watch(topics) as bell:
            followed = [(self._follower(topic), topic) for topic in topics]
            for follower, topic in followed:
                follower.watch(topic)
            try:
                yield bell
            finally:
                for follower, topic in followed:
                    follower.unwatch(topic)

    def _follower(self, topic: str) -> Hub | Waker:
        return self._hub if topic == CANCELLED or topic.startswith("job:") else self._waker

    # -- job types and workers -------------------------------------------------------------------------

    async def job_types(self) -> dict[str, TypeRecord]:
        """Return the settings of every job type that has any."""
        rows = await self._read(Operation("settings", []))
        return {name.decode(): wire.to_type(name.decode(), flat) for name, flat in rows}

    async def set_job_type(
        self, job_type: str, *, operator: bytes | None = None, published: bytes | None = None
    ) -> TypeRecord:
        """Replace a job type's settings."""
        fields: dict[str, Argument | None] = {}
        if operator is not None:
            fields |= scripts.layer("o", operator)
        if published is not None:
            fields |= scripts.layer("p", published)
        return await self._set_type(job_type, fields)

    async def pause(self, job_type: str, *, until: int | None, reason: str | None) -> TypeRecord:
        """Stop claims of this type."""
        return await self._set_type(job_type, {"paused": "1", "until": until, "reason": reason})

    async def resume(self, job_type: str) -> TypeRecord:
        """Allow claims of this type again."""
        return await self._set_type(job_type, {"paused": None, "until": None, "reason": None})

    async def beat_worker(self, beat: WorkerBeat) -> str:
        """Refresh a worker's entry and return its directive."""
        answer, _ = await self._call("work", Operation("beat", wire.from_beat(beat)))
        return answer.decode() or "run"

    async def worker(self, worker_id: str) -> WorkerRecord | None:
        """Return a registered worker."""
        row = await self._read(Operation("worker", [worker_id]))
        return None if row is None else wire.to_worker(row)

    async def workers(self) -> list[WorkerRecord]:
        """Return the registered workers, latest started first."""
        rows = await self._read(Operation("workers", []))
        return sorted(map(wire.to_worker, rows), key=lambda worker: (-worker.started_at, worker.id))

    async def signal_worker(self, worker_id: str, directive: str) -> bool:
        """Set a worker's directive."""
        answer, _ = await self._call("work", Operation("signal", [worker_id, directive]))
        return bool(answer)

    async def remove_worker(self, worker_id: str) -> None:
        """Forget a worker."""
        await self._call("work", Operation("forget", [worker_id]))

    # -- the way to the server ---------------------------------------------------------------------------

    async def _read(self, operation: Operation) -> Any:
        return (await self._call("read", operation))[0]

    def _lane(self, name: str) -> Lane:
        self._connection.check_process()
        found = self._lanes.get(name)
        if found is None:
            raise BackendUnavailable(f"{self._connection.place} is not open")
        return found

    async def _call(self, lane: str, operation: Operation) -> tuple[Any, int]:
        """Return an operation's answer, and the instant at which it was done."""
        answer: tuple[Any, int] = await self._lane(lane).call(operation)
        return answer

    async def _send(self, name: str, flight: int, operations: list[Argument]) -> list[Any]:
        """Run one script call; its settings' versions tell which job types have to be read again."""
        self._calls += 1
        sent_at = self._clock.now()
        call = f"{self._caller}{name[0]}{flight}.{self._calls}"
        given_now = "" if self._given_clock is None else self._given_clock.now()
        arguments = [self._prefix, given_now, call, "", self._updates_kept, *operations]
        reply = await self._connection.run(script(name), self._keys, arguments)
        now = int(reply[0])
        if self._given_clock is None:
            self._offset = now - (sent_at + self._clock.now()) // 2
        await self._refresh_types(reply[2])
        done_at = int(reply[-1]) if len(reply) == _DONE_BEFORE else now
        return [(answer, done_at) for answer in reply[1]]

    async def _refresh_types(self, versions: Sequence[bytes]) -> None:
        for name, version in zip(versions[::2], versions[1::2], strict=True):
            job_type = name.decode()
            known = self._types.get(job_type)
            if known is not None and known[0] == version:
                continue
            if version == b"0":
                self.emptied += known is not None
                self._types.pop(job_type, None)
                continue
            flat = await self._connection.command("HGETALL", f"{self._prefix}type:{job_type}")
            self._types[job_type] = (version, wire.to_type(job_type, flat))

    def _record(self, shown: Sequence[Any]) -> JobRecord:
        return wire.to_record(shown, self._settings_of)

    def _settings_of(self, job_type: str) -> TypeRecord | None:
        known = self._types.get(job_type)
        return None if known is None else known[1]

    async def _set_type(self, job_type: str, fields: dict[str, Argument | None]) -> TypeRecord:
        answer, _ = await self._call("work", scripts.set_type(job_type, fields))
        return wire.to_type(job_type, answer)

    def _stored(self, new: NewRecord, item: Sequence[Any], now: int) -> Stored:
        word, found, *created_at = item
        if word == b"created" and isinstance(found, bytes):
            return self._created(new, int(created_at[0]) if created_at else now, int(found, 16))
        return Stored(self._record(found), created=word == b"created", replayed=word == b"replayed")

    def _created(self, new: NewRecord, at: int, sequence: int) -> Stored:
        record = new.to_record(at, sequence)
        settings = self._settings_of(new.job_type)
        if settings is not None:
            record.operator_settings, record.published_settings = settings.operator, settings.published
        return Stored(record, created=True)


def _release(answer: tuple[Any, int]) -> list[Operation]:
    """Return what gives jobs back that were claimed for somebody who has gone."""
    records = [wire.to_record(shown, lambda _: None) for shown in answer[0][0]]
    return [
        scripts.move(Transition.release(record.id, lease_token=record.lease_token or ""), show=False)
        for record in records
    ]
