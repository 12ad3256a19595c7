from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from examples import file_hashes
from tests.examples.conftest import Run


async def test_every_file_of_a_folder_is_hashed_in_the_order_of_their_paths(run: Run, files: Path):
    contents = {"a.txt": b"one", "b/c.bin": b"\0" * 3_000_000, "b/d/empty": b""}
    for name, content in contents.items():
        files.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        files.joinpath(name).write_bytes(content)
    job = await run("files.sha256", path=".")
    assert job.results == {
        "files": [
            {"path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        ],
        "bytes": 3_000_003,
        "skipped": [],
    }


async def test_paths_are_relative_to_the_folder_that_was_named(run: Run, files: Path):
    files.joinpath("b").mkdir()
    files.joinpath("b/c").write_bytes(b"one")
    job = await run("files.sha256", path="b")
    assert [file["path"] for file in job.results["files"]] == ["c"]


async def test_links_pipes_and_sockets_are_skipped_and_named(run: Run, files: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.joinpath("secret").write_text("secret")
    files.joinpath("folder").symlink_to(outside)
    files.joinpath("file").symlink_to(outside / "secret")
    files.joinpath("lost").symlink_to("nowhere")
    os.mkfifo(files / "pipe")
    job = await run("files.sha256", path=".")
    assert job.results["files"] == []
    assert job.results["skipped"] == [
        {"path": "file", "reason": "symbolic link"},
        {"path": "folder", "reason": "symbolic link"},
        {"path": "lost", "reason": "symbolic link"},
        {"path": "pipe", "reason": "pipe or socket"},
    ]


async def test_a_name_that_is_not_utf_8_is_shown_with_escapes(run: Run, files: Path):
    with os.fdopen(os.open(os.fsencode(files) + b"/caf\xe9", os.O_CREAT | os.O_WRONLY), "wb") as file:
        file.write(b"one")
    job = await run("files.sha256", path=".")
    assert [file["path"] for file in job.results["files"]] == ["caf\\xe9"]


async def test_a_folder_with_more_files_than_an_answer_can_hold_is_refused_before_hashing(
    run: Run, files: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(file_hashes, "MAX_ANSWER", 1000)
    for n in range(20):
        files.joinpath(str(n)).touch()
    job = await run("files.sha256", path=".")
    assert job.status == "failed"
    assert job.error == "the folder has more files than one answer can hold; name a smaller one"


async def test_an_answer_of_the_greatest_size_can_be_stored(run: Run, files: Path):
    for n in range(6_000):
        files.joinpath(f"{n:06}").touch()
    job = await run("files.sha256", path=".")
    assert job.status == "complete"
    assert len(job.results["files"]) == 6_000


async def test_a_file_is_no_folder(run: Run, files: Path):
    files.joinpath("a.txt").touch()
    job = await run("files.sha256", path="a.txt")
    assert (job.status, job.error) == ("failed", "path must name a folder")
