"""Many new jobs, one JSON object on a line, in chunks of which each is stored as a whole."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jdobb_async_queue import Job, NewJob
from jdobb_service.cli.exits import ExitCode, Refusal, refusal_of
from jdobb_service.cli.job_data import parse_object
from jdobb_service.cli.output import note

if TYPE_CHECKING:
    from jdobb_service.cli.clients.base import Client

CHUNK_JOBS = 1000
CHUNK_BYTES = 4 * 1_048_576
"""Half of what is taken in one step: written anew, JSON may need more room than in the line."""

_PLACE = re.compile(r"(?:#/jobs/|jobs\[)([0-9]+)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line with a job."""

    number: int
    size: int
    job: NewJob


async def enqueue_lines(client: Client, lines: Iterable[Line], show: Callable[[Job], None]) -> None:
    """Store the jobs of the lines in chunks, and show each job once its chunk is stored.

    Raises ``Refusal`` at the first line that cannot be a job, or chunk that cannot be stored; it says what is
    stored.
    """
    stored, last = 0, 0
    try:
        for chunk in _chunks(lines):
            for job in await _store(client, chunk):
                show(job)
            stored, last = stored + len(chunk), chunk[-1].number
    except Exception as error:
        refusal = refusal_of(error)
        raise Refusal(refusal.code, f"{refusal}\n{_summary(stored, last)}") from error
    note(f"{stored} jobs are stored" if stored != 1 else "1 job is stored")


def read_lines(given: str, make_job: Callable[[dict[str, Any]], NewJob]) -> Iterator[Line]:
    """Yield the lines of a file (``@name``) or of standard input (``-``); empty ones are left out."""
    for number, raw in enumerate(_raw_lines(given), 1):
        if not raw.strip():
            continue
        place = f"line {number}"
        try:
            text = raw.rstrip().decode()
        except UnicodeDecodeError as error:
            raise Refusal(ExitCode.USAGE, f"{place} is not UTF-8 at byte {error.start}") from None
        fields = parse_object(place, text, is_line=True)
        try:
            yield Line(number, len(raw), make_job(fields))
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, item['loc'])) or 'job'}: {item['msg']}" for item in error.errors()]
            raise Refusal(ExitCode.USAGE, f"{place}: {'; '.join(wrong)}") from None


def whole_job(fields: dict[str, Any]) -> NewJob:
    """Return the job that an object describes with the names of the HTTP interface."""
    named = {"job_id" if name == "id" else name: value for name, value in fields.items()}
    return NewJob.model_validate_json(json.dumps(named))


def _raw_lines(given: str) -> Iterator[bytes]:
    if given == "-":
        if sys.stdin.isatty():
            note("reading jobs from the terminal, one on a line; Ctrl-D ends it")
        yield from sys.stdin.buffer
        return
    if not given.startswith("@"):
        raise Refusal(ExitCode.USAGE, f"--ndjson takes @FILE, or - for standard input, got {given!r}")
    try:
        with Path(given[1:]).open("rb") as file:
            yield from file
    except OSError as error:
        message = f"{given[1:]} cannot be read: {error.strerror}"
        raise Refusal(ExitCode.USAGE, message) from error


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    size = 0
    for line in lines:
        if chunk and (len(chunk) == CHUNK_JOBS or size + line.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += line.size
    if chunk:
        yield chunk


async def _store(client: Client, chunk: list[Line]) -> list[Job]:
    try:
        return await client.enqueue_many([line.job for line in chunk])
    except Exception as error:
        refusal = refusal_of(error)
        if refusal.code is ExitCode.UNREACHABLE:
            span = f"lines {chunk[0].number} to {chunk[-1].number}"
            message = f"{refusal}\nit is not known whether {span} are stored; ids make it safe to repeat them"
            raise Refusal(refusal.code, message) from error
        raise Refusal(refusal.code, _by_line(str(refusal), chunk)) from error


def _by_line(message: str, chunk: list[Line]) -> str:
    """Return what was said of a job of the chunk with the number of its line."""
    found = _PLACE.search(message)
    if found is None:
        return message
    rest = message[found.end() :].lstrip("]./:")
    return f"line {chunk[int(found[1])].number}: {rest.strip()}"


def _summary(stored: int, last: int) -> str:
    if not stored:
        return "nothing is stored"
    count = "1 job is" if stored == 1 else f"{stored} jobs are"
    return f"{count} stored, up to line {last}, and nothing after it: go on with `tail -n +{last + 1}`"
