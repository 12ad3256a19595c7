"""Which store or service a command speaks to."""

from __future__ import annotations

import pytest

from tests.cli.command import Jdobb
from tests.cli.test_enqueue import DELAYED

ENQUEUE = ("enqueue", "later", *DELAYED)


def databases(jdobb: Jdobb) -> set[str]:
    return {path.name for path in jdobb.folder.glob("*.db")}


def test_without_a_word_jobs_are_in_jdobb_db_here(jdobb: Jdobb):
    jdobb(*ENQUEUE)
    assert databases(jdobb) == {"jdobb.db"}


def test_a_flag_wins_over_the_environment_which_wins_over_the_settings_file(jdobb: Jdobb):
    jdobb.folder.joinpath("jdobb.toml").write_text('backend_url = "sqlite:///file.db"')
    jdobb(*ENQUEUE)
    assert databases(jdobb) == {"file.db"}
    variable = {"JDOBB_BACKEND_URL": "sqlite:///variable.db"}
    jdobb(*ENQUEUE, **variable)
    assert databases(jdobb) == {"file.db", "variable.db"}
    jdobb(*ENQUEUE, "--backend-url", "sqlite:///flag.db", **variable)
    assert databases(jdobb) == {"file.db", "variable.db", "flag.db"}


def test_the_service_of_the_environment_comes_before_the_store_of_the_environment(service: Jdobb):
    place = {"JDOBB_BACKEND_URL": "sqlite:///unused.db"}
    job_id = service(*ENQUEUE, **place).out.strip()
    assert service("get", job_id).code == 0
    assert databases(service) == set()


def test_a_store_on_the_command_line_comes_before_the_service_of_the_environment(service: Jdobb, tmp_path):
    service(*ENQUEUE, "--backend-url", f"sqlite:///{tmp_path / 'flag.db'}")
    assert tmp_path.joinpath("flag.db").exists()


def test_an_empty_service_address_in_the_environment_is_none(jdobb: Jdobb):
    assert jdobb(*ENQUEUE, JDOBB_URL="").code == 0
    assert databases(jdobb) == {"jdobb.db"}


def test_two_namespaces_share_nothing(jdobb: Jdobb):
    job_id = jdobb(*ENQUEUE, "--namespace", "mine").out.strip()
    assert jdobb("get", job_id).code == 3
    assert jdobb("get", job_id, "--namespace", "mine").code == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--url", "http://a", "--backend-url", "sqlite:///b"], "either --url or --backend-url"),
        (["--url", "http://a", "--namespace", "b"], "--namespace is for --backend-url"),
        (["--url", "ftp://a"], "--url must look like http://127.0.0.1:8000"),
        (["--url", "localhost:8000"], "--url must look like http://127.0.0.1:8000"),
        (["--backend-url", "memory://"], "memory:// lives inside one process only"),
        (["--backend-url", "sqlite:///:memory:"], "lives inside one process only"),
        (["--backend-url", "postgres://a"], "Unknown backend: postgres"),
        (["--backend-url", "jobs.db"], "url must look like sqlite:///jobs.db"),
        (["--namespace", "two words"], "namespace"),
    ],
)
def test_places_that_cannot_be_are_refused(jdobb: Jdobb, words: list[str], complaint: str):
    done = jdobb("get", "x", *words)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err


def test_settings_that_cannot_be_used_are_named(jdobb: Jdobb):
    done = jdobb("get", "x", JDOBB_LEASE="long")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jdobb: lease: ")
