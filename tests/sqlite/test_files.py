"""Which file a URL names, and which files are refused."""

from __future__ import annotations

import os
import sqlite3

import pytest

from jdobb_async_queue import BackendError, BackendUnavailable, JobQueue, SchemaTooNew, StorageLost
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from jdobb_async_queue.backends.sqlite.guards import check_library, refuse_network_filesystem
from jdobb_async_queue.backends.sqlite.schema import check
from jdobb_async_queue.backends.sqlite.urls import database_path


def test_three_slashes_are_relative_and_four_are_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert database_path("sqlite:///jobs.db") == str(tmp_path / "jobs.db")
    assert database_path("sqlite:////var/lib/jobs.db") == os.path.realpath("/var/lib/jobs.db")
    assert database_path("sqlite:///:memory:") is None


def test_a_link_to_a_file_and_the_file_are_one_place(tmp_path):
    (tmp_path / "link.db").symlink_to(tmp_path / "jobs.db")

    assert database_path(f"sqlite:///{tmp_path / 'link.db'}") == str(tmp_path / "jobs.db")


@pytest.mark.parametrize(
    "url", ["sqlite://jobs.db", "sqlite:jobs.db", "sqlite:///", "sqlite:///dir/", "sqlite:///a.db?mode=ro"]
)
def test_a_url_that_names_no_file_is_refused(url):
    with pytest.raises(ValueError, match="url"):
        SQLiteBackend(url)


@pytest.mark.parametrize(
    ("url", "options", "durability"),
    [
        ("sqlite:///jobs.db", {}, "full"),
        ("sqlite:///jobs.db", {"durability": "normal"}, "normal"),
        ("sqlite:///:memory:", {}, "none"),
    ],
)
def test_a_backend_says_what_its_jobs_survive(url, options, durability):
    assert SQLiteBackend(url, **options).durability == durability


def test_what_jobs_survive_is_settled_once():
    with pytest.raises(AttributeError, match="durability"):
        SQLiteBackend("sqlite:///jobs.db").durability = "normal"


@pytest.mark.parametrize("name", ["with space.db", "with%3Fquestion.db", "with%23hash.db", "ünïcode.db"])
async def test_odd_file_names_work(open_queue, tmp_path, name):
    queue = open_queue(path=tmp_path / name)
    job_id = await queue.enqueue("email")

    assert (await queue.get(job_id)).id == job_id
    assert os.path.exists(queue.backend.path)  # noqa: ASYNC240, PTH110 - what this test is about


async def test_two_memory_databases_share_nothing():
    url = "sqlite:///:memory:"
    async with JobQueue("sqlite", url=url) as one, JobQueue("sqlite", url=url) as two:
        await one.enqueue("email")

        assert await two.counts() == {}


async def test_a_missing_folder_is_named(open_queue, tmp_path):
    queue = open_queue(path=tmp_path / "nowhere" / "jobs.db")

    with pytest.raises(BackendUnavailable, match="nowhere"):
        await queue.enqueue("email")


async def test_a_file_that_is_no_database_is_refused_and_left_alone(open_queue, file):
    file.write_bytes(b"this is a letter, not a database" * 100)

    with pytest.raises(BackendError, match="not an SQLite database"):
        await open_queue().enqueue("email")
    assert file.read_bytes().startswith(b"this is a letter")


async def test_another_programs_database_is_refused_and_left_alone(open_queue, file):
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()

    with pytest.raises(BackendError, match="not one of jdobb-async-queue"):
        await open_queue().enqueue("email")
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    other.close()


async def test_a_file_is_looked_at_as_it_is_at_one_moment(open_queue, monkeypatch):
    views = []

    def look(connection):
        views.append(connection.in_transaction)
        return check(connection)

    for module in ("connection", "schema"):
        monkeypatch.setattr(f"jdobb_async_queue.backends.sqlite.{module}.check", look)
    await open_queue().enqueue("email")

    assert views == [True, True]


async def test_a_newer_releases_database_is_refused_and_left_alone(open_queue, file):
    first = open_queue()
    await first.enqueue("email")
    await first.close()
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version=2000")
    newer.close()

    with pytest.raises(SchemaTooNew, match="newer release"):
        await open_queue().enqueue("email")


async def test_a_newer_minor_version_works(open_queue, file):
    first = open_queue()
    job_id = await first.enqueue("email")
    await first.close()
    with sqlite3.connect(file) as newer:
        newer.execute("ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")
        newer.execute("PRAGMA user_version=1001")
    newer.close()

    assert (await open_queue().claim()).id == job_id


async def test_a_file_that_was_replaced_while_open_is_noticed(open_queue, file):
    queue = open_queue()
    await queue.enqueue("email")
    file.rename(file.with_suffix(".old"))
    file.write_bytes(b"")

    with pytest.raises(StorageLost, match="replaced"):
        await queue.enqueue("email")


async def test_what_was_stored_is_there_after_reopening(open_queue):
    first = open_queue()
    job_id = await first.enqueue("email", {"to": "ann"}, metadata={"n": 1}, unique_key="k", delay=60)
    stored = await first.get(job_id)
    await first.close()

    assert await open_queue().get(job_id) == stored


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_network_file_systems_are_refused(kind):
    mounted = f"/dev/vda / ext4 rw 0 0\nserver:/x /mnt/shared\\040disk {kind} rw 0 0\n"

    with pytest.raises(BackendError, match=kind):
        refuse_network_filesystem("/mnt/shared disk/jobs.db", mounted)
    refuse_network_filesystem("/home/jobs.db", mounted)


def test_a_library_that_is_too_old_is_named():
    with pytest.raises(BackendError, match=r"3\.24\.0"):
        check_library((3, 7, 17))
