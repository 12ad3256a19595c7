from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.csv_column import Column
from examples.csv_profile import BATCH, MAX_COLUMNS, MAX_RECORD, CsvProfile
from examples.folder import in_memory
from tests.examples.conftest import Run
from tests.support.waiting import WITHIN

ROOT = Path(__file__).parents[2]


def profile_of(*values: str, max_distinct: int = 1000) -> dict:
    column = Column("column", max_distinct)
    column.add(values)
    return column.profile()


async def test_a_profile_tells_rows_and_of_each_column_type_nulls_extremes_and_distinct_values(run: Run):
    job = await run("csv.profile", text="id,price,city\n2,1.5,Rome\n10,,Oslo\n3,0.25,Rome\n")
    names = ("name", "type", "nulls", "min", "max", "distinct", "distinct_is")
    columns = [
        ("id", "integer", 0, 2, 10, 3, "exact"),
        ("price", "number", 1, 0.25, 1.5, 2, "exact"),
        ("city", "text", 0, "Oslo", "Rome", 2, "exact"),
    ]
    assert job.results == {
        "rows": 3,
        "columns": [dict(zip(names, column, strict=True)) for column in columns],
    }


async def test_a_file_is_read_as_the_same_text_would_be(run: Run, files: Path):
    text = 'name,said\r\nIda,"one\ntwo, ""three"""\r\n\r\nJonas,\r\n'
    files.joinpath("letters.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    of_file, of_text = await run("csv.profile", path="letters.csv"), await run("csv.profile", text=text)
    assert of_file.results == of_text.results
    assert [column["name"] for column in of_file.results["columns"]] == ["name", "said"]
    assert of_file.results["rows"] == 2
    assert of_file.results["columns"][1]["min"] == 'one\ntwo, "three"'


async def test_another_delimiter_may_be_named(run: Run):
    job = await run("csv.profile", text="a;b\n1,5;2\n", delimiter=";")
    assert [column["type"] for column in job.results["columns"]] == ["text", "integer"]


async def test_a_header_alone_has_columns_that_are_empty(run: Run):
    job = await run("csv.profile", text="a,b\n")
    assert job.results["rows"] == 0
    assert [(column["type"], column["min"]) for column in job.results["columns"]] == [("empty", None)] * 2


@pytest.mark.parametrize(
    ("values", "kind", "least", "most"),
    [
        (["7", "-12", "+3"], "integer", -12, 7),
        (["1", "2.5", "1e3"], "number", 1.0, 1000.0),
        (["1", str(2**63)], "number", 1.0, 2.0**63),
        (["9" * 400], "text", "9" * 100, "9" * 100),
        (["01234", "20095"], "text", "01234", "20095"),
        (["1_000"], "text", "1_000", "1_000"),
        (["٣"], "text", "٣", "٣"),
        (["nan"], "text", "nan", "nan"),
        (["true", "FALSE"], "boolean", "FALSE", "true"),
        (["1", "true"], "text", "1", "true"),
        (["2024-02-29", "2023-12-31"], "date", "2023-12-31", "2024-02-29"),
        (["2023-02-29"], "text", "2023-02-29", "2023-02-29"),
        (["2024-01-01T00:30:00+02:00", "2023-12-31T23:00Z"], "datetime",
         "2024-01-01T00:30:00+02:00", "2023-12-31T23:00Z"),
        (["2024-01-01", "soon"], "text", "2024-01-01", "soon"),
        (["", ""], "empty", None, None),
    ],
)  # fmt: skip
def test_a_type_is_the_narrowest_that_fits_every_value(
    values: list[str], kind: str, least: object, most: object
):
    profile = profile_of(*values)
    assert (profile["type"], profile["min"], profile["max"]) == (kind, least, most)


VALUES = st.sampled_from(["", "1", "-2", "2.5", "true", "2024-01-01", "2024-01-01T10:00Z", "x", "10"])


@given(st.lists(st.lists(VALUES, min_size=1), min_size=1))
def test_a_profile_does_not_depend_on_how_the_rows_come_in_batches(batches: list[list[str]]):
    column = Column("column", 1000)
    for batch in batches:
        column.add(tuple(batch))
    assert column.profile() == profile_of(*(value for batch in batches for value in batch))


def test_distinct_values_are_exact_up_to_a_limit_and_then_a_lower_bound():
    exact, bounded = profile_of("a", "b", "c", max_distinct=3), profile_of("a", "b", "c", "d", max_distinct=3)
    assert (exact["distinct"], exact["distinct_is"]) == (3, "exact")
    assert (bounded["distinct"], bounded["distinct_is"]) == (3, "at least")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "line 1: a header is expected, and there is nothing"),
        (b"a,b\n1,2\n3\n", "line 3: 1 fields, where the header has 2"),
        (b'a,b\n"1\n2",3\n4,5,6\n', "line 4: 3 fields, where the header has 2"),
        (b'a,b\n1,2\n"3" x,4\n', "line 3: text follows the closing quote of a field"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "line 3: the quote of a field is never closed"),
        (b'a\n"' + b"x" * 200_000 + b'"\n', "line 2: a field is too long, or its quote is never closed"),
        (b"a,b\r1,2\r", "line 1: a carriage return stands outside of quotes"),
        (b"a,b\n1,\xff\n", "line 2: byte 0xff is not UTF-8"),
        (b"a,b\n1,2\n3,\0\n", "line 3: a NUL byte, so this is no text"),
        (b"a\n" + b"," * (MAX_RECORD + 1), "line 2: a record is longer than 1,048,576 bytes"),
        (b"a\n" + b'"\n",' * MAX_RECORD, "a record is longer than 1,048,576 bytes"),
        (b"," * MAX_COLUMNS, "line 1: 501 columns; at most 500 are profiled"),
    ],
)  # fmt: skip
async def test_a_broken_file_fails_with_line_and_reason_and_is_not_tried_again(
    run: Run, files: Path, queue, content: bytes, error: str
):
    files.joinpath("broken.csv").write_bytes(content)
    job_id = await queue.enqueue("csv.profile", {"path": "broken.csv"}, max_attempts=3)
    job = await queue.wait(job_id, timeout=WITHIN)
    assert (job.status, job.attempt) == ("failed", 1)
    assert error in job.error


def test_even_blank_lines_are_read_step_by_step():
    steps = CsvProfile().steps(lambda: in_memory("a\n" + "\n" * 4 * BATCH))
    assert len(list(steps)) == 5


BOUNDED = """
import re, resource, sys
from pathlib import Path

from examples.csv_profile import CsvProfile
from examples.folder import Folder

def peak():
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:  # not Linux, where getrusage would count the process that started this one too
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)
    return int(re.search(r"VmHWM:\\s*(\\d+)", status)[1]) >> 10

def profile(name):
    folder, profile = Folder(Path(sys.argv[1])), CsvProfile()
    for _ in profile.steps(lambda: folder.open(folder.locate(name))):
        pass
    return profile.results()["rows"]

profile("small.csv")
before = peak()
print(profile("big.csv"), peak() - before)
"""


def test_a_file_of_thirty_megabytes_takes_a_few_megabytes_of_memory(tmp_path: Path):
    rows = 600_000
    with tmp_path.joinpath("big.csv").open("w") as file:
        file.write("id,amount,name,when,flag\n")
        file.writelines(
            f"{n},{n / 7:.6f},somebody number {n % 40_000},2024-01-{n % 28 + 1:02},{n % 2}\n"
            for n in range(rows)
        )
    tmp_path.joinpath("small.csv").write_text("id\n1\n")
    assert tmp_path.joinpath("big.csv").stat().st_size > 30_000_000
    command = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    counted, grown = map(int, done.stdout.split())
    assert counted == rows
    assert grown < 15, f"{grown} MiB"
