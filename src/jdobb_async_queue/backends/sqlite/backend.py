"""Jobs in one SQLite file, for one process or several on one machine."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import aiosqlite

from jdobb_async_queue.backends.base import (
    DEFAULT_NAMESPACE,
    UPDATES_KEPT,
    Claimed,
    ClaimRequest,
    QueueBackend,
)
from jdobb_async_queue.backends.bells import Bell, Bells
from jdobb_async_queue.backends.forks import check_process, guard_fork
from jdobb_async_queue.backends.sqlite import claiming, moving, reading, registry, storing
from jdobb_async_queue.backends.sqlite.batcher import MAX_BATCH, Batcher
from jdobb_async_queue.backends.sqlite.connection import Call, Connection, Place, Reader, Writer
from jdobb_async_queue.backends.sqlite.faults import translated
from jdobb_async_queue.backends.sqlite.guards import check_library, mounts, refuse_network_filesystem
from jdobb_async_queue.backends.sqlite.tail import Tail
from jdobb_async_queue.backends.sqlite.urls import database_path
from jdobb_async_queue.backends.sqlite.wake import WakeFile
from jdobb_async_queue.clock import Ids, SystemClock, system_random
from jdobb_async_queue.errors import BackendUnavailable
from jdobb_async_queue.records import Retention
from jdobb_async_queue.transitions import Transition

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from jdobb_async_queue.backends.base import (
        Applied,
        Durability,
        LeaseAnswer,
        LeaseRef,
        ListQuery,
        RecordPage,
        Stored,
        Swept,
        UpdatePage,
    )
    from jdobb_async_queue.backends.sqlite.connection import Operation
    from jdobb_async_queue.backends.sqlite.transaction import Touched
    from jdobb_async_queue.clock import Clock
    from jdobb_async_queue.models import ErrorGroup, HistoryPoint, Idempotency, JobTypeStats, Outcome
    from jdobb_async_queue.records import JobRecord, NewRecord, TypeRecord, WorkerBeat, WorkerRecord

_PRUNED_PAGES = 500
_MINOR_VERBS = frozenset({"update", "log", "send"})
"""What may be lost with the machine's power: it is reported again, or was only for whoever watched."""


class SQLiteBackend(QueueBackend):
    """A queue in one SQLite file (or, with ``sqlite:///:memory:``, in this object alone).

    What is acknowledged survives ``kill -9`` and, with ``durability="full"``, the loss of power too; with
    ``"normal"`` the last commits may be lost with the power. Progress and claims are always ``normal``.
    Network file systems are refused: SQLite's locks do not work there. ``max_batch`` bounds how many
    calls share a transaction.
    """

    name: ClassVar[str] = "sqlite"

    def __init__(
        self,
        url: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        updates_kept: int = UPDATES_KEPT,
        durability: Literal["full", "normal"] = "full",
        allow_network_filesystem: bool = False,
        max_batch: int = MAX_BATCH,
    ) -> None:
        if durability not in {"full", "normal"}:
            raise ValueError(f"durability must be full or normal, got {durability!r}")
        self._clock = clock or SystemClock()
        self._ids = Ids(self._clock, rng or system_random())
        self.namespace = namespace
        self.path = database_path(url)
        self._durability: Durability = "none" if self.path is None else durability
        self._place = Place(self.path, namespace, self._clock, updates_kept, durability == "full")
        self._allow_network_filesystem = allow_network_filesystem
        self._max_batch = max_batch
        self._bells = Bells()
        self._pid = os.getpid()
        self._databases: list[aiosqlite.Connection] = []
        self._connections: list[Connection] = []
        self._writes: Batcher | None = None
        self._reads: Batcher | None = None
        self._wake: WakeFile | None = None
        self._tail: Tail | None = None

    @property
    def durability(self) -> Durability:
        """Return what an acknowledged write survives; see ``QueueBackend.durability``."""
        return self._durability

    # -- life ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file, and create or migrate it; see ``QueueBackend.open``."""
        if self._writes is not None:
            return
        self._pid = os.getpid()
        check_library()
        if self.path is not None and not self._allow_network_filesystem:
            refuse_network_filesystem(self.path, mounts())
        try:
            await self._connect()
        except BaseException as error:
            await self._disconnect()
            failure = translated(error, self._name)
            if failure is error:
                raise
            raise failure from error
        guard_fork(self)

    async def close(self) -> None:
        """Finish what was called and close the file; see ``QueueBackend.close``."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        for batcher in (self._reads, self._writes):
            if batcher is not None:
                await batcher.close()
        await self._disconnect()
        self._bells.ring_all()

    def now(self) -> int:
        """Return the process's clock in milliseconds; processes on one machine share it."""
        return self._clock.now()

    def connections(self) -> list[object]:
        """Return what a forked child must neither use nor close."""
        return [*self._connections, *self._databases]

    def lease_token(self) -> str:
        """Return a new lease token."""
        return self._ids.lease_token()

    # -- atomic writes ---------------------------------------------------------------------------------

    async def store(
        self, jobs: Sequence[NewRecord], *, idempotency: Idempotency | None = None
    ) -> list[Stored]:
        """Insert new jobs; see ``QueueBackend.store``."""
        found: list[Stored] = await self._write(
            partial(storing.store, jobs=jobs, idempotency=idempotency), promised=True
        )
        return found

    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        """Claim jobs in claim order; see ``QueueBackend.claim_pending_jobs``."""
        claimed: Claimed = await self._write(
            partial(claiming.claim, request=request), promised=False, take_back=_release
        )
        return claimed

    async def apply(self, changes: Sequence[Transition], *, records: bool = True) -> list[Applied]:
        """Apply guarded transitions; see ``QueueBackend.apply``."""
        promised = not _MINOR_VERBS.issuperset(change.verb for change in changes)
        applied: list[Applied] = await self._write(
            partial(moving.apply, changes=changes, records=records), promised=promised
        )
        return applied

    async def heartbeat(self, leases: Sequence[LeaseRef]) -> list[LeaseAnswer]:
        """Renew or look at leases; see ``QueueBackend.heartbeat``."""
        run = self._write if any(ref.extend for ref in leases) else self._read
        answers: list[LeaseAnswer] = await run(partial(claiming.heartbeat, leases=leases), promised=False)
        return answers

    async def delete(self, job_ids: Sequence[str]) -> list[Outcome]:
        """Remove terminal jobs; see ``QueueBackend.delete``."""
        outcomes: list[Outcome] = await self._write(partial(moving.delete, job_ids=job_ids), promised=True)
        return outcomes

    async def sweep(self, limit: int, retention: Retention) -> Swept:
        """Rescue and expire due jobs; see ``QueueBackend.sweep``."""
        if not await self._read(claiming.is_anything_due):
            return claiming.NOTHING_SWEPT
        swept: Swept = await self._write(
            partial(claiming.sweep, limit=limit, retention=retention), promised=False
        )
        return swept

    async def prune(self, limit: int) -> int:
        """Remove what is past its retention; see ``QueueBackend.prune``."""
        pruned: int = await self._write(partial(moving.prune, limit=limit), promised=False)
        return pruned

    # -- reads -----------------------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        """Return the jobs with these ids, None for each unknown one."""
        found: list[JobRecord | None] = await self._read(partial(reading.get, job_ids=job_ids))
        return found

    async def list_jobs(self, query: ListQuery) -> RecordPage:
        """Return a page of jobs; see ``QueueBackend.list_jobs``."""
        page: RecordPage = await self._read(partial(reading.list_jobs, query=query))
        return page

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many jobs of each type have each status."""
        found: dict[str, dict[str, int]] = await self._read(reading.counts)
        return found

    async def stats(self) -> dict[str, JobTypeStats]:
        """Return ready, running, delayed and the oldest ready age, per type with live jobs."""
        found: dict[str, JobTypeStats] = await self._read(reading.stats)
        return found

    async def read_updates(self, job_id: str, after: int, limit: int = 512) -> UpdatePage | None:
        """Return the job and its kept updates after a seq."""
        page: UpdatePage | None = await self._read(
            partial(reading.read_updates, job_id=job_id, after=after, limit=limit)
        )
        return page

    async def history(self, since: int) -> list[HistoryPoint]:
        """Return the per-minute figures from ``since`` on."""
        points: list[HistoryPoint] = await self._read(partial(reading.history, since=since))
        return points

    async def error_groups(self, since: int) -> list[ErrorGroup]:
        """Return failed attempts since then, grouped."""
        groups: list[ErrorGroup] = await self._read(partial(reading.errors, since=since))
        return groups

    # -- waiting ---------------------------------------------------------------------------------------

    @contextmanager
    def watch(self, topics: Sequence[str]) -> Iterator[Bell]:
        """Yield a bell for these topics; other processes ring it through the wake file."""
        if self._tail is None and self._wake is not None and self._reads is not None:
            self._tail = Tail(self._wake, self._bells, self._reads)
        with self._bells.watch(topics) as bell:
            yield bell

    # -- job types and workers -------------------------------------------------------------------------

    async def job_types(self) -> dict[str, TypeRecord]:
        """Return the settings of every job type that has any."""
        found: dict[str, TypeRecord] = await self._read(registry.job_types)
        return found

    async def set_job_type(
        self, job_type: str, *, operator: bytes | None = None, published: bytes | None = None
    ) -> TypeRecord:
        """Replace a job type's settings."""
        change = partial(registry.set_job_type, job_type=job_type, operator=operator, published=published)
        return await self._change_type(change)

    async def pause(self, job_type: str, *, until: int | None, reason: str | None) -> TypeRecord:
        """Stop claims of this type."""
        return await self._change_type(partial(registry.pause, job_type=job_type, until=until, reason=reason))

    async def resume(self, job_type: str) -> TypeRecord:
        """Allow claims of this type again."""
        return await self._change_type(partial(registry.resume, job_type=job_type))

    async def beat_worker(self, beat: WorkerBeat) -> str:
        """Refresh a worker's entry and return its directive."""
        directive: str = await self._write(partial(registry.beat, said=beat), promised=False)
        return directive

    async def worker(self, worker_id: str) -> WorkerRecord | None:
        """Return a registered worker."""
        found: WorkerRecord | None = await self._read(partial(registry.worker, worker_id=worker_id))
        return found

    async def workers(self) -> list[WorkerRecord]:
        """Return the registered workers, latest started first."""
        found: list[WorkerRecord] = await self._read(registry.workers)
        return found

    async def signal_worker(self, worker_id: str, directive: str) -> bool:
        """Set a worker's directive."""
        signal = partial(registry.signal, worker_id=worker_id, directive=directive)
        found: bool = await self._write(signal, promised=True)
        return found

    async def remove_worker(self, worker_id: str) -> None:
        """Forget a worker."""
        await self._write(partial(registry.remove, worker_id=worker_id), promised=False)

    # -- the way to the connections ----------------------------------------------------------------------

    async def _change_type(self, change: Operation) -> TypeRecord:
        settings: TypeRecord = await self._write(change, promised=True)
        return settings

    async def _write(
        self,
        operation: Operation,
        *,
        promised: bool,
        take_back: Callable[[Any], list[Call]] | None = None,
    ) -> Any:
        check_process(self._pid)
        if self._writes is None:
            raise BackendUnavailable(f"{self._name} is not open")
        return await self._writes.call(Call(operation, promised), take_back=take_back)

    async def _read(self, operation: Operation, *, promised: bool = False) -> Any:
        check_process(self._pid)
        if self._reads is None:
            raise BackendUnavailable(f"{self._name} is not open")
        return await self._reads.call(Call(operation, promised))

    async def _connect(self) -> None:
        database, writer = await self._start(Writer)
        await _in_thread(database, writer, partial(writer.prepare, self._place))
        if self.path is not None:
            self._wake = writer.wake = WakeFile(f"{self.path}-wake")
            writer.on_logged = self._skip
        writes = Batcher(
            database, writer, self._name,
            max_batch=self._max_batch, on_commit=self._ring, checkpoint=writer.checkpoint,
            when_idle=partial(_tidy, writer),
        )  # fmt: skip
        self._reads = writes if self.path is None else await self._connect_reader(writer.ns)
        self._writes = writes

    async def _connect_reader(self, ns: int) -> Batcher:
        database, reader = await self._start(Reader)
        await _in_thread(database, reader, partial(reader.prepare, self._place, ns))
        return Batcher(database, reader, self._name)

    async def _start(self, kind: type[Any]) -> tuple[aiosqlite.Connection, Any]:
        """Open a connection in a thread of its own; the thread does not keep the process from ending."""
        made: list[Any] = []

        def factory(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = kind(*arguments, **options)
            made.append(connection)
            return connection

        database = aiosqlite.connect(self._place.target, factory=factory, isolation_level=None, timeout=0)
        thread = database if isinstance(database, threading.Thread) else getattr(database, "_thread", None)
        if isinstance(thread, threading.Thread):
            thread.daemon = True
        try:
            await database
        except BaseException:
            if isinstance(thread, threading.Thread):
                thread.join(1.0)  # it still speaks to the loop, which may end once this is told
            raise
        self._databases.append(database)
        self._connections.append(made[0])
        return database, made[0]

    async def _disconnect(self) -> None:
        self._reads = self._writes = None
        while self._databases:
            await self._databases.pop().close()
        self._connections.clear()
        if self._wake is not None:
            self._wake.close()
            self._wake = None

    def _skip(self, numbers: range) -> None:
        """Let the tail pass over updates that are rung for here; called in the writer's thread."""
        if self._tail is not None:
            self._tail.skip(numbers)

    def _ring(self, touched: Touched) -> None:
        for job_type in touched.types:
            self._bells.ring_type(job_type)
        for job_id in touched.jobs:
            self._bells.ring_job(job_id)
        if touched.cancelled:
            self._bells.ring_cancelled()

    @property
    def _name(self) -> str:
        return "the in-memory database" if self.path is None else self.path


def _release(claimed: Claimed) -> list[Call]:
    """Return what gives jobs back that were claimed for somebody who has gone."""
    changes = [
        Transition.release(record.id, lease_token=record.lease_token or "") for record in claimed.records
    ]
    return [Call(partial(moving.apply, changes=changes, records=False))] if changes else []


def _tidy(writer: Writer) -> None:
    writer.checkpoint()
    writer.vacuum(_PRUNED_PAGES)


async def _in_thread(database: aiosqlite.Connection, connection: Connection, work: Callable[[], Any]) -> None:
    connection.work = work
    await database.commit()
    connection.outcome()
