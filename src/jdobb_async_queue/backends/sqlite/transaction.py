"""What operations work with while a transaction is open."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.history import MOST_KINDS, OTHER, Ledger
from jdobb_async_queue.backends.sqlite import rows
from jdobb_async_queue.backends.sqlite.queries import MOST_ROWS, SQL, inserting
from jdobb_async_queue.records import TypeRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from jdobb_async_queue.records import JobRecord, UpdateRecord
    from jdobb_async_queue.transitions import AttemptFailure


@dataclass(slots=True)
class Touched:
    """Whom a transaction concerns: types with something ready, jobs with updates, cancelled running jobs."""

    types: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    cancelled: bool = False
    logged: list[range] = field(default_factory=list)
    """The numbers of the updates that were appended."""

    def add(self, other: Touched) -> None:
        """Take over what another transaction touched."""
        self.types |= other.types
        self.jobs |= other.jobs
        self.cancelled = self.cancelled or other.cancelled
        self.logged += other.logged


@dataclass(slots=True)
class Kept:
    """A job as it is stored: its record, and how many updates its log has."""

    record: JobRecord
    log_size: int


class Transaction:
    """One open transaction. Counters and figures are summed up here and written once, by ``flush``.

    Rows of jobs wait until there are some of a kind and are written together, but always before another
    statement is run: whatever reads meets them. Between two readings a job has one such row of a kind.
    """

    def __init__(self, connection: sqlite3.Connection, ns: int, now: int, updates_kept: int) -> None:
        self._execute, self._execute_many = connection.execute, connection.executemany
        self.ns, self.now = ns, now
        self.touched = Touched()
        self.swept = False
        """What was due has been looked for: at one instant, once is enough."""
        self._paused: frozenset[str] | None = None
        self._updates_kept = updates_kept
        self._types: dict[str, TypeRecord] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._totals: dict[tuple[str, str], int] = {}
        self._ledger = Ledger()
        self._new: list[JobRecord] = []
        self._log: list[rows.Row] = []
        self._changes: dict[str, list[rows.Row]] = {}

    # -- reading ---------------------------------------------------------------------------------------

    def all(self, statement: str, *values: Any) -> list[rows.Row]:
        """Return every row of a statement."""
        return self._run(statement, values).fetchall()

    def each(self, statement: str, *values: Any) -> Iterator[rows.Row]:
        """Yield the rows of a statement as they are read."""
        return iter(self._run(statement, values))

    def one(self, statement: str, *values: Any) -> rows.Row | None:
        """Return the first row of a statement, or None."""
        found: rows.Row | None = self._run(statement, values).fetchone()
        return found

    def named(self, statement: str, **values: Any) -> list[rows.Row]:
        """Return every row of a statement with named values."""
        return self._run(statement, values).fetchall()

    def write(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement that writes."""
        return self._run(statement, values)

    def _run(self, statement: str, values: Sequence[Any] | dict[str, Any]) -> sqlite3.Cursor:
        self.write_waiting()
        return self._execute(SQL[statement], values)

    def job(self, job_id: str) -> Kept | None:
        """Return a job, with its type's settings."""
        row = self.one("job_by_id", self.ns, job_id)
        return None if row is None else self.kept(row)

    def jobs(self, job_ids: Collection[str]) -> dict[str, Kept]:
        """Return the jobs with these ids that there are, each with its type's settings."""
        if len(job_ids) == 1:
            found = self.all("job_by_id", self.ns, *job_ids)
        else:
            found = self.all("jobs_by_id", json.dumps(list(job_ids)), self.ns)
        return {kept.record.id: kept for kept in map(self.kept, found)}

    def kept(self, row: rows.Row) -> Kept:
        """Return the job of a row, with its type's settings."""
        return Kept(self.with_type(rows.to_record(row)), rows.log_size(row))

    def with_type(self, record: JobRecord) -> JobRecord:
        """Fill in the settings of the record's job type."""
        settings = self.type(record.job_type)
        record.operator_settings, record.published_settings = settings.operator, settings.published
        return record

    def type(self, job_type: str) -> TypeRecord:
        """Return a job type's settings."""
        known = self._types.get(job_type)
        if known is None:
            row = self.one("job_type", self.ns, job_type)
            known = self._types[job_type] = TypeRecord(job_type) if row is None else rows.to_type(row)
        return known

    def paused(self) -> frozenset[str]:
        """Return the job types that are not to be claimed now."""
        if self._paused is None:
            self._paused = frozenset(row[0] for row in self.all("paused_types", self.ns, self.now))
        return self._paused

    def count(self, job_type: str, status: str) -> int:
        """Return how many jobs of this type have this status."""
        key = (job_type, status)
        if key not in self._totals:
            row = self.one("count", self.ns, job_type, status)
            self._totals[key] = 0 if row is None else int(row[0])
        return self._totals[key] + self._counts[key]

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what is done in the block, counters and all, if it raises."""
        self.write_waiting()
        counts, ledger, touched = self._counts, self._ledger, self.touched
        self._counts, self._ledger, self.touched = Counter(counts), Ledger(), Touched()
        self._execute("SAVEPOINT block")
        try:
            yield
        except BaseException:
            self._new.clear()
            self._log.clear()
            self._changes.clear()
            self._execute("ROLLBACK TO block")
            self._counts = counts
            raise
        else:
            ledger.merge(self._ledger)
            touched.add(self.touched)
        finally:
            self._execute("RELEASE block")
            self._ledger, self.touched = ledger, touched

    # -- writing ---------------------------------------------------------------------------------------

    def put_type(self, settings: TypeRecord) -> TypeRecord:
        """Store a job type's settings."""
        self.write("put_job_type", *rows.from_type(self.ns, settings))
        self._types[settings.job_type] = settings
        self._paused = None
        return settings

    def insert(self, record: JobRecord) -> JobRecord:
        """Store a new pending job; its ``seq`` is given when it is written."""
        self._new.append(record)
        if len(self._new) == MOST_ROWS:
            self._insert_new()
        self._counts[record.job_type, record.status] += 1
        self._ledger.stored(record)
        self.touched.types.add(record.job_type)
        return self.with_type(record)

    def replace(self, record: JobRecord) -> JobRecord:
        """Give a waiting job new content."""
        self.write("replace_job", *rows.replaced(record))
        self.write("replace_payload", record.data, record.metadata, record.seq)
        self.touched.types.add(record.job_type)
        return self.with_type(record)

    def start(self, old: Kept, new: JobRecord, update: UpdateRecord) -> JobRecord:
        """Store the claim of a job."""
        kept = self._append(old, new, update)
        self._change("start_job", rows.started(new, kept))
        self._moved(old.record, new, None)
        return new

    def move(
        self, old: Kept, new: JobRecord, update: UpdateRecord | None, failure: AttemptFailure | None
    ) -> JobRecord:
        """Store what a transition made of a job."""
        kept = old.log_size if update is None else self._append(old, new, update)
        before = old.record
        if new.status == before.status and failure is None:
            self._change("report_job", rows.reported(new, kept))
            return new
        self._change("move_job", rows.moved(new, kept))
        if new.results != before.results or new.errors != before.errors:
            self._change("put_outcome", (new.seq, new.results, new.errors))
        self._moved(before, new, failure)
        return new

    def remove(self, seq: int, job_id: str, job_type: str, status: str) -> None:
        """Remove a terminal job with all that belongs to it."""
        self.write("delete_job", seq)
        self.write("delete_payload", seq)
        self.write("delete_outcome", seq)
        self.write("delete_updates", seq)
        self._counts[job_type, status] -= 1
        self.touched.jobs.add(job_id)

    def write_waiting(self) -> None:
        """Write the rows that wait."""
        if self._new:
            self._insert_new()
        if self._log:
            log, self._log = self._log, []
            last = self._insert("insert_update", log)
            self.touched.logged.append(range(last - len(log) + 1, last + 1))
        if self._changes:
            changes, self._changes = self._changes, {}
            for statement, values in changes.items():
                self._execute_many(SQL[statement], values)

    def flush(self) -> None:
        """Write what waits, and the counters and figures of the transaction."""
        self.write_waiting()
        for (job_type, status), n in self._counts.items():
            if n:
                self.write("add_count", self.ns, job_type, status, n)
        for (minute, job_type), tally in self._ledger.tallies.items():
            figures = [(figure, 0, n) for figure, n in tally.figures.items()]
            figures += [("wait", bucket, n) for bucket, n in tally.waits.items()]
            figures += [("run", bucket, n) for bucket, n in tally.runs.items()]
            for figure, bucket, n in figures:
                self.write("add_tally", self.ns, minute, job_type, figure, bucket, n)
        for (hour, job_type, kind), error in self._ledger.errors.items():
            kinds, known = self.all("error_kinds", job_type, kind, self.ns, hour)[0]
            self.write(
                "add_error_tally", self.ns, hour, job_type, kind if known or kinds < MOST_KINDS else OTHER,
                error.count, error.last_message, error.last_job_id, error.last_at,
            )  # fmt: skip

    def _change(self, statement: str, values: rows.Row) -> None:
        self._changes.setdefault(statement, []).append(values)

    def _insert_new(self) -> None:
        """Write the new jobs in the order in which they came, which gives them their seqs."""
        new, self._new = self._new, []
        last = self._insert("insert_job", [rows.inserted(self.ns, record) for record in new])
        for seq, record in enumerate(new, last - len(new) + 1):
            record.seq = seq
        self._insert("insert_payload", [(record.seq, record.data, record.metadata) for record in new])

    def _insert(self, statement: str, values: Sequence[rows.Row]) -> int:
        """Insert rows, up to a power of two of them by one statement; return the last one's number."""
        done = last = 0
        while done < len(values):
            n = 1 << (len(values) - done).bit_length() - 1
            cursor = self._execute(inserting(statement, n), [*chain(*values[done : done + n])])
            done, last = done + n, cursor.lastrowid or 0
        return last

    def _moved(self, old: JobRecord, new: JobRecord, failure: AttemptFailure | None) -> None:
        self._ledger.moved(old, new, failure)
        if new.status != old.status:
            self._counts[old.job_type, old.status] -= 1
            self._counts[new.job_type, new.status] += 1
        if new.status == "pending":
            self.touched.types.add(new.job_type)
        elif new.status == "cancelled" and old.status == "processing":
            self.touched.cancelled = True

    def _append(self, old: Kept, new: JobRecord, update: UpdateRecord) -> int:
        """Append an update, drop what the log has too many, and return how many it has then."""
        self._log.append(rows.logged(new.seq, update))
        if len(self._log) == MOST_ROWS:
            self.write_waiting()
        self.touched.jobs.add(new.id)
        kept = old.log_size + 1
        too_many = kept - self._updates_kept
        if too_many > 0:
            for number, seq in self.all("oldest_updates", new.seq, too_many):
                self.write("delete_update", number)
                new.trimmed_seq = seq
            kept -= too_many
        return kept
