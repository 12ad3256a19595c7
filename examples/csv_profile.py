"""What is in a CSV file: a profile of its columns, made in small steps and in bounded memory."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

from examples.csv_column import Column
from examples.folder import Source, Unusable

BATCH = 256 * 1024
"""Bytes that are read and then counted at once."""
MAX_RECORD = 1 << 20
MAX_COLUMNS = 500
MAX_DISTINCT = 10_000
MAX_DISTINCT_OF_ALL = 200_000
REASONS = {
    "expected after": "text follows the closing quote of a field",
    "unexpected end of data": "the quote of a field is never closed",
    "larger than field limit": "a field is too long, or its quote is never closed",
    "new-line character": "a carriage return stands outside of quotes",
}
"""What the csv module says, in words for whoever wrote the file."""


class CsvProfile:
    """Profiles a CSV file (RFC 4180, UTF-8).

    The first record names the columns; after it, blank lines do not count.
    """

    def __init__(self, delimiter: str = ",") -> None:
        self._delimiter = delimiter
        self._rows = 0
        self._columns: list[Column] = []

    def steps(self, open_source: Callable[[], Source]) -> Iterator[tuple[float, str]]:
        """Work on, a batch at a time; yield how far it is (0.0 to 1.0) and what that means.

        Raises ``Unusable`` with the line and the reason when the file is broken.
        """
        source = open_source()
        with source.stream:
            lines = Lines(source)
            records = self._records(lines)
            self._begin(next(records, (1, [])))
            batch: list[list[str]] = []
            ends = BATCH
            for line, record in records:
                if record:
                    batch.append(self._checked(line, record))
                if lines.read >= ends:
                    self._count(batch)
                    batch, ends = [], lines.read + BATCH
                    yield source.part(lines.read), f"rows: {self._rows:,}"
            self._count(batch)
            yield 1.0, f"rows: {self._rows:,}"

    def results(self) -> dict[str, Any]:
        """Return the profile."""
        return {"rows": self._rows, "columns": [column.profile() for column in self._columns]}

    def _begin(self, first: tuple[int, list[str]]) -> None:
        _, header = first
        if not header:
            raise Unusable("line 1: a header is expected, and there is nothing")
        if len(header) > MAX_COLUMNS:
            raise Unusable(f"line 1: {len(header):,} columns; at most {MAX_COLUMNS} are profiled")
        limit = min(MAX_DISTINCT, MAX_DISTINCT_OF_ALL // len(header))
        self._columns = [Column(name, limit) for name in header]

    def _checked(self, line: int, record: list[str]) -> list[str]:
        if len(record) != len(self._columns):
            raise Unusable(f"line {line}: {len(record)} fields, where the header has {len(self._columns)}")
        return record

    def _count(self, batch: list[list[str]]) -> None:
        if not batch:
            return
        self._rows += len(batch)
        for column, values in zip(self._columns, zip(*batch, strict=True), strict=True):
            column.add(values)

    def _records(self, lines: Lines) -> Iterator[tuple[int, list[str]]]:
        """Yield each record, empty for a blank line, with the line on which it begins."""
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            begins = lines.begin_record()
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise Unusable(f"line {begins}: {_reason(error)}") from None
            yield begins, record


class Lines:
    """The lines of a source as text; it knows how many bytes it has read, and bounds a record."""

    def __init__(self, source: Source) -> None:
        self._stream = source.stream
        self._number = 0
        self._begins = 0
        self.read = 0

    def begin_record(self) -> int:
        """Note that a record begins with the next line, and return that line's number."""
        self._begins = self.read
        return self._number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_RECORD + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self.read += len(line)
        if self.read - self._begins > MAX_RECORD:
            raise Unusable(f"line {self._number}: a record is longer than {MAX_RECORD:,} bytes")
        if b"\0" in line:
            raise Unusable(f"line {self._number}: a NUL byte, so this is no text")
        try:
            return line.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise Unusable(f"line {self._number}: byte 0x{byte:02x} is not UTF-8") from None


def _reason(error: csv.Error) -> str:
    said = str(error)
    return next((reason for part, reason in REASONS.items() if part in said), said)
