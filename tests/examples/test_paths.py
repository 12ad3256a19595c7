"""What a job may name: files of the files folder, and nothing else of the machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from examples.handlers import router
from jdobb_async_queue import Worker
from tests.examples.conftest import Run

CSV = "a\n1\n"
READERS = ("csv.profile", "text.report", "files.sha256")


@pytest.fixture
def outside(tmp_path: Path, files: Path) -> Path:
    """Return a folder beside the files folder, with a file in it."""
    folder = tmp_path / "files-of-others"
    folder.mkdir()
    folder.joinpath("secret.csv").write_text(CSV)
    return folder


@pytest.mark.parametrize("job_type", READERS)
@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("../files-of-others/secret.csv", "path must not contain '..'"),
        ("sub/../a.csv", "path must not contain '..'"),
        ("..", "path must not contain '..'"),
        ("/etc/passwd", "path must stay inside the files folder"),
        ("//etc/passwd", "path must stay inside the files folder"),
        ("/", "path must stay inside the files folder"),
        ("link-to-folder/secret.csv", "path must stay inside the files folder"),
        ("link-to-folder", "path must stay inside the files folder"),
        ("link-to-file", "path must stay inside the files folder"),
        ("link-to-nothing", "path must stay inside the files folder"),
        ("circle", "path leads nowhere"),
        ("circle/x", "path leads nowhere"),
        ("missing.csv", "path cannot be opened: No such file or directory"),
        ("a.csv/b", "path cannot be opened: Not a directory"),
        ("x" * 300, "path cannot be opened: File name too long"),
        ("a\0b", "path must not contain a NUL character"),
        ("pipe", "path must name a file, not a pipe or socket"),
        ("socket", "path must name a file, not a pipe or socket"),
    ],
)
async def test_a_path_that_leads_out_or_to_no_file_fails_by_its_rule(
    run: Run, files: Path, outside: Path, tmp_path: Path, job_type: str, path: str, error: str,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    files.joinpath("a.csv").write_text(CSV)
    files.joinpath("link-to-folder").symlink_to(outside)
    files.joinpath("link-to-file").symlink_to(outside / "secret.csv")
    files.joinpath("link-to-nothing").symlink_to(outside / "nothing")
    files.joinpath("circle").symlink_to("circle")
    os.mkfifo(files / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(files)  # a socket's path must be short
        listening.bind("socket")
        job = await run(job_type, path=path)
    assert job.status == "failed"
    assert job.error == error
    assert str(tmp_path) not in job.model_dump_json()


async def test_a_device_is_not_opened(run: Run, files: Path):
    try:
        os.mknod(files / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:  # only root makes devices: then a link must do
        files.joinpath("zero").symlink_to("/dev/zero")
    job = await run("csv.profile", path="zero")
    assert job.error in {"path must name a file, not a device", "path must stay inside the files folder"}


@pytest.mark.parametrize("path", ["sub/a.csv", "./sub//a.csv", "link.csv", "folder-link/a.csv"])
async def test_a_path_may_lead_anywhere_inside(run: Run, files: Path, path: str):
    files.joinpath("sub").mkdir()
    files.joinpath("sub/a.csv").write_text(CSV)
    files.joinpath("link.csv").symlink_to(files / "sub/a.csv")
    files.joinpath("folder-link").symlink_to("sub")
    assert (await run("csv.profile", path=path)).results["rows"] == 1


async def test_an_absolute_path_inside_is_fine(run: Run, files: Path):
    files.joinpath("a.csv").write_text(CSV)
    assert (await run("csv.profile", path=str(files / "a.csv"))).status == "complete"


@pytest.mark.parametrize("job_type", ["csv.profile", "text.report"])
async def test_a_folder_is_no_file(run: Run, job_type: str):
    assert (await run(job_type, path=".")).error == "path must name a file, not a folder"


async def test_the_samples_are_the_files_folder_when_none_is_named(run_samples: Run):
    profile = (await run_samples("csv.profile", path="orders.csv")).results
    assert (profile["rows"], len(profile["columns"])) == (240, 7)
    types = [column["type"] for column in profile["columns"]]
    assert types == ["integer", "date", "text", "integer", "number", "boolean", "text"]
    assert (await run_samples("text.report", path="letters/reply.txt")).results["words"] > 50
    assert len((await run_samples("files.sha256", path="letters")).results["files"]) == 2


async def test_a_files_folder_that_does_not_exist_stops_the_worker_at_its_start(queue, monkeypatch):
    monkeypatch.setenv("JDOBB_FILES_ROOT", "/nowhere/at/all")
    worker = Worker(queue)
    worker.include_router(router)
    with pytest.raises(ValueError, match="must be a folder that exists, got '/nowhere/at/all'"):
        await worker.run()
