from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import text_report
from examples.folder import in_memory
from examples.text_report import TextReport
from tests.examples.conftest import Run


def report_of(text: str, most_common: int = 10) -> dict:
    report = TextReport(most_common)
    for _ in report.steps(lambda: in_memory(text)):
        pass
    return report.results()


async def test_a_report_counts_lines_words_and_characters_and_the_commonest_words(run: Run):
    job = await run("text.report", text="The cat's hat.\nthe hat, THE well-known hat", most_common=2)
    assert job.results == {
        "lines": 2,
        "words": 8,
        "characters": 42,
        "unique_words": 4,
        "most_common": [{"word": "the", "count": 3}, {"word": "hat", "count": 3}],
        "counts_are": "exact",
        "longest_word": "well-known",
        "mean_word_length": 4.12,
        "reading_seconds": 2,
    }


async def test_an_empty_text_has_no_words_and_no_mean(run: Run):
    job = await run("text.report", text="")
    assert (job.results["lines"], job.results["words"], job.results["characters"]) == (0, 0, 0)
    assert (job.results["longest_word"], job.results["mean_word_length"]) == (None, None)


async def test_a_file_that_is_not_utf_8_fails_with_the_line_and_the_byte(run: Run, files: Path):
    files.joinpath("latin.txt").write_bytes(b"one\ntwo\nthr\xe9e\n")
    job = await run("text.report", path="latin.txt")
    assert (job.status, job.error) == ("failed", "line 3: byte 0xe9 is not UTF-8")


async def test_a_file_that_ends_inside_a_character_fails(run: Run, files: Path):
    files.joinpath("cut.txt").write_bytes("one\nzwölf €".encode()[:-1])
    job = await run("text.report", path="cut.txt")
    assert (job.status, job.error) == ("failed", "line 2: byte 0xe2 is not UTF-8")


@given(st.text(alphabet="ab'- \né€", max_size=60), st.integers(1, 9))
def test_a_report_does_not_depend_on_where_chunks_end(text: str, chunk: int):
    whole = report_of(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_report, "CHUNK", chunk)
        assert report_of(text) == whole


def test_beyond_a_number_of_different_words_counts_are_lower_bounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_report, "MAX_KNOWN", 10)
    monkeypatch.setattr(text_report, "CHUNK", 50)
    report = report_of("the the the " + " ".join(f"word{n}" for n in range(100)) + " the the")
    assert report["counts_are"] == "at least"
    assert 10 < report["unique_words"] <= 101
    assert report["most_common"][0] == {"word": "the", "count": 5}


def test_a_word_without_end_is_counted_in_pieces():
    report = report_of("x" * 1_000_000)
    assert 10_000 <= report["words"] < 10_010
    assert report["longest_word"] == "x" * 100
