"""Three handlers that are useful as they are, and one to try things with.

``jdobb serve examples.handlers:router`` runs them. The useful ones read files below one folder only:
``JDOBB_FILES_ROOT``, by default ``examples/files``. Each works in small steps in a thread, so that the
event loop stays free, progress can be watched, and a cancelled job stops after the step at hand.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from examples.csv_profile import CsvProfile
from examples.file_hashes import FileHashes
from examples.folder import Folder, Source, Unusable, in_memory
from examples.text_report import TextReport
from jdobb_async_queue import FailNow, JobContext, JobRouter

SAMPLES = Path(__file__).parent / "files"


@asynccontextmanager
async def files_folder() -> AsyncIterator[Folder]:
    """Yield the folder that paths in jobs are relative to; it is ``ctx.state`` in the handlers."""
    yield Folder(Path(os.environ.get("JDOBB_FILES_ROOT") or SAMPLES))


router = JobRouter(lifespan=files_folder)


class StepsToTake(BaseModel):
    """How long it takes, and how often it fails: to watch a job, to cancel one, and to retry one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"seconds": 20}, {"seconds": 4, "failures": 1}]}
    )

    seconds: float = Field(default=20, ge=0, le=3600, description="How long an attempt takes.")
    failures: int = Field(
        default=0, ge=0, le=100, description="How many attempts fail half-way, before one succeeds."
    )


def text_or_path(*examples: dict[str, Any]) -> ConfigDict:
    """Return the configuration of a model whose data has either a text or a path."""
    either: list[Any] = [{"required": ["text"]}, {"required": ["path"]}]
    return ConfigDict(extra="forbid", json_schema_extra={"oneOf": either, "examples": list(examples)})


class TextOrPath(BaseModel):
    """What to read: a text, or a file of the service's files folder. Exactly one of the two."""

    text: str | SkipJsonSchema[None] = Field(default=None, description="The text itself.")
    path: str | SkipJsonSchema[None] = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="A file, relative to the files folder of the service, such as `orders.csv`.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> TextOrPath:
        if len(self.model_fields_set & {"text", "path"}) != 1 or self.text is self.path:
            msg = "give either text or path"
            raise ValueError(msg)
        return self

    def opener(self, folder: Folder) -> Callable[[], Source]:
        """Return what opens the source, to be called in a thread."""
        text, path = self.text, self.path
        if text is not None:
            return partial(in_memory, text)
        return lambda: folder.open(folder.locate(path or ""))


class CsvToProfile(TextOrPath):
    """A CSV file whose first line names the columns."""

    model_config = text_or_path({"path": "orders.csv"}, {"text": "city,people\nOslo,709\nRome,2755\n"})

    delimiter: Literal[",", ";", "\t", "|"] = Field(default=",", description="What separates the fields.")


class TextToReport(TextOrPath):
    """A text in UTF-8."""

    model_config = text_or_path({"path": "letters/harbour.txt"})

    most_common: int = Field(
        default=10, ge=0, le=100, description="How many of the most common words to list."
    )


class FilesToHash(BaseModel):
    """A folder of files."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"path": "."}]})

    path: str = Field(
        min_length=1,
        max_length=4096,
        description="A folder, relative to the files folder of the service; `.` is the files folder itself.",
    )


@router.handler("demo.steps", data_model=StepsToTake)
async def take_steps(ctx: JobContext) -> dict[str, Any]:
    """Return how many steps were taken, and in which attempt; each takes a quarter of a second."""
    payload: StepsToTake = ctx.payload
    count = max(2, round(payload.seconds * 4))
    for step in range(1, count + 1):
        await asyncio.sleep(payload.seconds / count)
        await ctx.update(step / count, f"step {step} of {count}")
        if ctx.attempt <= payload.failures and 2 * step >= count:
            msg = f"attempt {ctx.attempt} fails at step {step}, as the job asked for"
            raise RuntimeError(msg)
    return {"steps": count, "attempt": ctx.attempt}


@router.handler("csv.profile", data_model=CsvToProfile)
async def profile_csv(ctx: JobContext) -> dict[str, Any]:
    """Return rows and columns of a CSV file; of each column type, nulls, extremes and distinct values."""
    payload: CsvToProfile = ctx.payload
    profile = CsvProfile(payload.delimiter)
    await work_off(ctx, profile.steps(payload.opener(ctx.state)))
    return profile.results()


@router.handler("text.report", data_model=TextToReport)
async def report_text(ctx: JobContext) -> dict[str, Any]:
    """Return lines, words, characters, the most common words, and how long reading takes."""
    payload: TextToReport = ctx.payload
    report = TextReport(payload.most_common)
    await work_off(ctx, report.steps(payload.opener(ctx.state)))
    return report.results()


@router.handler("files.sha256", data_model=FilesToHash)
async def hash_files(ctx: JobContext) -> dict[str, Any]:
    """Return the SHA-256 of every file below a folder; links and devices are skipped and named."""
    payload: FilesToHash = ctx.payload
    hashes = FileHashes(ctx.state, payload.path)
    await work_off(ctx, hashes.steps())
    return hashes.results()


async def work_off(ctx: JobContext, steps: Iterator[tuple[float, str]]) -> None:
    """Take one step after the other in a thread, and report each.

    What cannot be worked on fails the job at once: another attempt would meet the same.
    """
    try:
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            progress, message = step
            await ctx.update(progress, message)
    except Unusable as error:
        raise FailNow(str(error)) from None
