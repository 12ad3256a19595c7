"""What operations work with while a transaction is open."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jdobb_async_queue.backends.history import MOST_KINDS, OTHER, Ledger
from jdobb_async_queue.backends.sqlite import rows
from jdobb_async_queue.backends.sqlite.queries import SQL
from jdobb_async_queue.records import TypeRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from jdobb_async_queue.records import JobRecord, UpdateRecord
    from jdobb_async_queue.transitions import AttemptFailure


@dataclass(slots=True)
class Touched:
    """Whom a transaction concerns: types with something ready, jobs with updates, cancelled running jobs."""

    types: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    cancelled: bool = False

    def add(self, other: Touched) -> None:
        """Take over what another transaction touched."""
        self.types |= other.types
        self.jobs |= other.jobs
        self.cancelled = self.cancelled or other.cancelled


@dataclass(slots=True)
class Kept:
    """A job as it is stored: its record, and how many updates its log has."""

    record: JobRecord
    log_size: int


class Transaction:
    """One open transaction. Counters and figures are summed up here and written once, by ``flush``."""

    def __init__(self, connection: sqlite3.Connection, ns: int, now: int, updates_kept: int) -> None:
        self._execute = connection.execute
        self.ns, self.now = ns, now
        self.touched = Touched()
        self.swept = False
        """What was due has been looked for: at one instant, once is enough."""
        self._paused: frozenset[str] | None = None
        self._updates_kept = updates_kept
        self._types: dict[str, TypeRecord] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ledger = Ledger()

    # -- reading ---------------------------------------------------------------------------------------

    def all(self, statement: str, *values: Any) -> list[rows.Row]:
        """Return every row of a statement."""
        return self._execute(SQL[statement], values).fetchall()

    def each(self, statement: str, *values: Any) -> Iterator[rows.Row]:
        """Yield the rows of a statement as they are read."""
        return iter(self._execute(SQL[statement], values))

    def one(self, statement: str, *values: Any) -> rows.Row | None:
        """Return the first row of a statement, or None."""
        found: rows.Row | None = self._execute(SQL[statement], values).fetchone()
        return found

    def named(self, statement: str, **values: Any) -> list[rows.Row]:
        """Return every row of a statement with named values."""
        return self._execute(SQL[statement], values).fetchall()

    def write(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement that writes."""
        return self._execute(SQL[statement], values)

    def job(self, job_id: str) -> Kept | None:
        """Return a job, with its type's settings."""
        row = self.one("job_by_id", self.ns, job_id)
        return None if row is None else self.kept(row)

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
        row = self.one("count", self.ns, job_type, status)
        return (0 if row is None else int(row[0])) + self._counts[job_type, status]

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what is done in the block, counters and all, if it raises."""
        counts, ledger, touched = self._counts, self._ledger, self.touched
        self._counts, self._ledger, self.touched = Counter(counts), Ledger(), Touched()
        self._execute("SAVEPOINT block")
        try:
            yield
        except BaseException:
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
        """Store a new pending job; its ``seq`` is given here."""
        cursor = self.write("insert_job", *rows.inserted(self.ns, record))
        record.seq = cursor.lastrowid or 0
        self.write("insert_payload", record.seq, record.data, record.metadata)
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
        self.write("start_job", *rows.started(new, kept))
        self._moved(old.record, new, None)
        return new

    def move(
        self, old: Kept, new: JobRecord, update: UpdateRecord | None, failure: AttemptFailure | None
    ) -> JobRecord:
        """Store what a transition made of a job."""
        kept = old.log_size if update is None else self._append(old, new, update)
        before = old.record
        if new.status == before.status and failure is None:
            self.write("report_job", *rows.reported(new, kept))
            return new
        self.write("move_job", *rows.moved(new, kept))
        if new.results != before.results or new.errors != before.errors:
            self.write("put_outcome", new.seq, new.results, new.errors)
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

    def flush(self) -> None:
        """Write the counters and figures of the transaction."""
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
        self.write("insert_update", *rows.logged(new.seq, update))
        self.touched.jobs.add(new.id)
        kept = old.log_size + 1
        too_many = kept - self._updates_kept
        if too_many > 0:
            for number, seq in self.all("oldest_updates", new.seq, too_many):
                self.write("delete_update", number)
                new.trimmed_seq = seq
            kept -= too_many
        return kept
