"""The writing and the reading connection: each runs batches of operations, one transaction for many.

An operation is a plain function of a ``Transaction``. It either changes nothing and raises a
``JobQueueError`` (its caller's error alone), or it succeeds; any other error rolls the whole batch back, and
its operations run again one by one, each in a transaction of its own.

aiosqlite brings the thread. Its public ``commit()`` runs whatever was put into ``work`` beforehand, so a
batch costs one hop to the thread, however many operations it holds.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.sqlite.faults import is_busy
from jdobb_async_queue.backends.sqlite.guards import Inodes
from jdobb_async_queue.backends.sqlite.moving import forget
from jdobb_async_queue.backends.sqlite.queries import SQL
from jdobb_async_queue.backends.sqlite.schema import check, migrate
from jdobb_async_queue.backends.sqlite.transaction import Touched, Transaction
from jdobb_async_queue.errors import JobQueueError

if TYPE_CHECKING:
    from jdobb_async_queue.backends.sqlite.wake import WakeFile
    from jdobb_async_queue.clock import Clock

logger = logging.getLogger("jdobb_async_queue")

Operation = Callable[[Transaction], Any]

_LONGEST_TRANSACTION = 0.005
_BETWEEN_FORGETTING = 0.1
_FORGOTTEN_AT_ONCE = 250
"""Of each kind: a few milliseconds, and more per second than are bound anew."""
_LOCK_PATIENCE = 10.0
_SHORTEST_RETRY, _LONGEST_RETRY = 0.0002, 0.002
_CHANGES_PER_CHECKPOINT = 1500
_CHANGES_PER_COMMIT = 8
_INCREMENTAL = 2
_LARGE_WAL = 64 * 1024 * 1024

_WRITER_PRAGMAS = (
    "cache_size=-32000", "temp_store=MEMORY", "foreign_keys=OFF",
    "journal_size_limit=16777216", "trusted_schema=OFF", "secure_delete=OFF", "fullfsync=1",
)  # fmt: skip
_READER_PRAGMAS = (
    "busy_timeout=5000", "cache_size=-8000", "temp_store=MEMORY", "wal_autocheckpoint=0",
    "trusted_schema=OFF", "query_only=1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """An operation in a batch; ``promised`` means that its caller is told that it will last."""

    operation: Operation
    promised: bool = True


@dataclass(slots=True)
class Result:
    """What one operation of a batch returned or raised."""

    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Batch:
    """What a batch did, and whom it touched; ``results`` end where the time for a transaction did.

    ``is_checkpoint_due`` asks for one before the next batch, once the callers have their answers.
    """

    results: list[Result] = field(default_factory=list)
    touched: Touched = field(default_factory=Touched)
    is_checkpoint_due: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A database and how it is written; ``path`` is None in memory."""

    path: str | None
    namespace: str
    clock: Clock
    updates_kept: int
    durable: bool

    @property
    def target(self) -> str:
        """Return what SQLite opens."""
        return ":memory:" if self.path is None else self.path


class Connection(sqlite3.Connection):
    """A connection whose ``commit()`` does ``work``, in the thread that owns it.

    What came of it waits for ``outcome()``. Without work ``commit()`` does nothing, which makes it a
    barrier: whoever has awaited it knows that the work before is over.
    """

    work: Callable[[], Any] | None = None
    _done: Any = None
    _failure: BaseException | None = None

    def commit(self) -> None:
        """Do the work that was put here."""
        work, self.work = self.work, None
        if work is not None:
            try:
                self._done = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is taken
                self._failure = error

    def outcome(self) -> Any:
        """Return what the last work returned, or raise what it raised."""
        done, failure = self._done, self._failure
        self._done = self._failure = None
        if failure is not None:
            raise failure
        return done


class Reader(Connection):
    """Reads many things in one consistent look."""

    ns = 0

    def prepare(self, place: Place, ns: int) -> None:
        """Set the connection up."""
        for pragma in _READER_PRAGMAS:
            self.execute(f"PRAGMA {pragma}").fetchall()
        self._place, self.ns = place, ns

    def run(self, calls: Sequence[Call]) -> Batch:
        """Run operations that only read."""
        batch = Batch()
        self.execute("BEGIN")
        try:
            transaction = Transaction(self, self.ns, self._place.clock.now(), self._place.updates_kept)
            batch.results = [self._answer(call, transaction) for call in calls]
        finally:
            self.execute("ROLLBACK")
        return batch

    @staticmethod
    def _answer(call: Call, transaction: Transaction) -> Result:
        """Read; there is nothing to take back, so any error is its caller's alone."""
        try:
            return Result(call.operation(transaction))
        except Exception as error:  # noqa: BLE001 - told to the caller
            return Result(error=error)


class Writer(Connection):
    """The one connection of a process that writes."""

    ns = 0
    wake: WakeFile | None = None
    on_logged: Callable[[range], None] | None = None
    """Told the numbers of the updates that were appended, after their commit and before others are woken."""
    _synchronous = ""
    _changes = 0
    _counted = 0
    _inodes: Inodes | None = None
    _checkpointer: sqlite3.Connection | None = None
    _forget_at = float("-inf")
    _warned = False

    def prepare(self, place: Place) -> None:
        """Set the connection up, and create or migrate the database."""
        self._place = place
        self._patiently(self._set_up)
        self.ns = self._patiently(lambda: migrate(self, place.namespace))
        if place.path is not None:
            self._patiently(self._set_up_checkpoints)
            self._touch_wal()
            self._changes = self._pages_in_wal()
            self._inodes = Inodes(place.path, f"{place.path}-wal")

    def run(self, calls: Sequence[Call]) -> Batch:
        """Run operations in one transaction; as many as fit into its time, at least one."""
        self._set_synchronous(full=self._place.durable and any(call.promised for call in calls))
        try:
            return self._transact(calls, _LONGEST_TRANSACTION)
        except JobQueueError:
            raise
        except BaseException as error:
            if len(calls) == 1 or (isinstance(error, sqlite3.Error) and is_busy(error)):
                raise
        return self._one_by_one(calls)

    def checkpoint(self) -> None:
        """Move the log into the database, while no other process can write.

        SQLite 3.7.0 to 3.51.2 may lose commits when a checkpoint meets a writer that restarts the log; with
        the write lock in our hands there is no such writer.
        """
        if self._checkpointer is None or not self._changes:
            return
        self._changes = 0
        self._begin()
        try:
            self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            self.execute("ROLLBACK")
        self._watch_wal()

    def close(self) -> None:
        """Close both connections of the thread."""
        if self._checkpointer is not None:
            self._checkpointer.close()
            self._checkpointer = None
        super().close()

    def vacuum(self, pages: int) -> None:
        """Give free pages back to the file system when there are many."""
        (total,), (free,) = (
            self.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count")
        )
        if free > pages and free * 4 > total:
            self.executescript(f"PRAGMA incremental_vacuum({pages})")

    def _transact(self, calls: Sequence[Call], longest: float) -> Batch:
        self._begin()
        batch = Batch()
        try:
            transaction = Transaction(self, self.ns, self._place.clock.now(), self._place.updates_kept)
            ends = time.monotonic() + longest
            for call in calls:
                batch.results.append(_one(call, transaction))
                if time.monotonic() > ends:
                    break
            self._forget(transaction)
            transaction.flush()
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:
                self.execute("ROLLBACK")
            raise
        if self._inodes is not None:
            self._inodes.check()
        batch.touched = transaction.touched
        batch.is_checkpoint_due = self._count_changes() > _CHANGES_PER_CHECKPOINT
        if self.on_logged is not None:
            for numbers in batch.touched.logged:
                self.on_logged(numbers)
        self._wake_others(batch.touched)
        return batch

    def _forget(self, transaction: Transaction) -> None:
        """Remove now and then what is past its time: there may be no worker that does."""
        now = self._place.clock.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + _BETWEEN_FORGETTING
            forget(transaction, _FORGOTTEN_AT_ONCE)

    def _one_by_one(self, calls: Sequence[Call]) -> Batch:
        batch = Batch()
        for call in calls:
            try:
                alone = self._transact([call], 0.0)
            except Exception as error:  # noqa: BLE001 - it is its caller's
                batch.results.append(Result(error=error))
            else:
                batch.results += alone.results
                batch.touched.add(alone.touched)
                batch.is_checkpoint_due = alone.is_checkpoint_due
        return batch

    def _count_changes(self) -> int:
        """Return about how many pages the log has grown by since the last checkpoint."""
        changed, self._counted = self.total_changes - self._counted, self.total_changes
        if changed:
            self._changes += _CHANGES_PER_COMMIT + changed
        return self._changes

    def _wake_others(self, touched: Touched) -> None:
        """Tell other processes. It is committed, so nothing that fails here may fail the batch."""
        if self.wake is not None:
            try:
                self.wake.signal(ready=bool(touched.types), updates=bool(touched.jobs) or touched.cancelled)
            except OSError:
                logger.warning("other processes could not be woken", exc_info=True)

    def _begin(self) -> None:
        self._patiently(lambda: self.execute("BEGIN IMMEDIATE"))

    def _patiently(self, attempt: Callable[[], Any]) -> Any:
        """Try until the lock is free: after about a millisecond each time, so that no process starves."""
        ends = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                return attempt()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > ends:
                    raise
                time.sleep(random.uniform(_SHORTEST_RETRY, _LONGEST_RETRY))  # noqa: S311 - a pause, no secret

    def _set_synchronous(self, *, full: bool) -> None:
        wanted = "FULL" if full else "NORMAL"
        if wanted != self._synchronous:
            self.execute(f"PRAGMA synchronous={wanted}")
            self._synchronous = wanted

    def _set_up(self) -> None:
        """Set the pragmas; each may find the file locked by somebody who is just creating it.

        A file that is not ours is refused first: already the journal mode would change it. Setting the way of
        vacuuming is a commit: none in a file that has it, and never with a checkpoint that nothing guards.
        """
        self.execute("PRAGMA busy_timeout=0").fetchall()
        self.execute("PRAGMA wal_autocheckpoint=0").fetchall()
        self._refuse_what_is_not_ours()
        if self.execute("PRAGMA auto_vacuum").fetchone() != (_INCREMENTAL,):
            self.execute("PRAGMA auto_vacuum=INCREMENTAL").fetchall()
        if self._place.path is not None and self.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            self.execute("PRAGMA journal_mode=WAL").fetchall()
        for pragma in _WRITER_PRAGMAS:
            self.execute(f"PRAGMA {pragma}").fetchall()

    def _refuse_what_is_not_ours(self) -> None:
        """Look at the file as it is at one moment: somebody may be just creating it."""
        self.execute("BEGIN")
        try:
            check(self)
        finally:
            self.execute("ROLLBACK")

    def _set_up_checkpoints(self) -> None:
        if self._checkpointer is None:
            self._checkpointer = sqlite3.connect(self._place.target, isolation_level=None, timeout=0)
        self._checkpointer.execute("PRAGMA wal_autocheckpoint=0").fetchall()
        self._checkpointer.execute("SELECT 1 FROM jobs LIMIT 1").fetchall()

    def _touch_wal(self) -> None:
        """Write once, so that the log's file exists."""
        self._begin()
        self.execute(SQL["touch"], (self.ns,))
        self.execute("COMMIT")

    def _pages_in_wal(self) -> int:
        """Return about how many pages the log has: others may have died before they moved them."""
        (page_size,) = self.execute("PRAGMA page_size").fetchone()
        return int(os.stat(f"{self._place.path}-wal").st_size // page_size)  # noqa: PTH116 - as above

    def _watch_wal(self) -> None:
        size = os.stat(f"{self._place.path}-wal").st_size  # noqa: PTH116 - never open what SQLite has open
        if size > _LARGE_WAL and not self._warned:
            self._warned = True
            logger.warning("%s-wal has grown to %d MB: a long reader keeps it", self._place.path, size >> 20)
        elif size <= _LARGE_WAL:
            self._warned = False


def _one(call: Call, transaction: Transaction) -> Result:
    try:
        return Result(call.operation(transaction))
    except JobQueueError as error:
        return Result(error=error)
