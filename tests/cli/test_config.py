"""``jdobb config show``: each setting, its source, and no secret."""

from __future__ import annotations

import pytest

from jdobb_service.keys import new_key
from jdobb_service.masking import without_password
from jdobb_service.settings import Settings
from tests.cli.command import Jdobb


def test_each_setting_has_its_value_and_its_source(jdobb: Jdobb):
    jdobb.folder.joinpath("jdobb.toml").write_text("retention = 60.0\nlease = 7.0\n")
    found = jdobb("config", "show", "--namespace", "mine", "--json", JDOBB_LEASE="5").json
    assert set(found) == set(Settings.model_fields)
    assert found["namespace"] == {"value": "mine", "source": "argument"}
    assert found["lease"] == {"value": 5.0, "source": "environment"}
    assert found["retention"] == {"value": 60.0, "source": "file"}
    assert found["port"] == {"value": 8000, "source": "default"}


def test_secrets_are_masked(jdobb: Jdobb):
    key, secret = new_key("billing")
    environment = {
        "JDOBB_BACKEND_URL": "redis://user:hunter2@db:6379/0?password=hunter3",
        "JDOBB_API_KEYS": str(key),
        "JDOBB_SIGNING_SECRET": "very secret words that sign addresses",
    }
    for words in ((), ("--json",)):
        done = jdobb("config", "show", *words, **environment)
        assert done.code == 0
        for hidden in ("hunter2", "hunter3", key.sha256, secret, "very secret"):
            assert hidden not in done.out + done.err
        assert "billing:***:enqueue+read+cancel" in done.out
        assert "redis://***@db:6379/0?password=***" in done.out


def test_settings_are_shown_in_columns(jdobb: Jdobb):
    head, first, *_ = jdobb("config", "show").out.splitlines()
    assert head.split() == ["SETTING", "SOURCE", "VALUE"]
    assert first.split() == ["backend_url", "default", "sqlite:///jdobb.db"]


def test_settings_that_cannot_be_used_are_named(jdobb: Jdobb):
    done = jdobb("config", "show", JDOBB_LEASE="long")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jdobb: lease: ")


def test_a_name_in_the_file_that_is_no_setting_is_met_with_the_near_one(jdobb: Jdobb):
    jdobb.folder.joinpath("jdobb.toml").write_text("leese = 5\nentirely_else = 1\n")
    done = jdobb("list")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "jdobb: no setting has the name 'leese'; did you mean lease?",
        "no setting has the name 'entirely_else'",
    ]


def test_a_variable_that_is_no_setting_is_told_with_the_near_one(jdobb: Jdobb):
    variables = {"JDOBB_LEESE": "5", "JDOBB_SERVICE_HOST": "10.0.0.1", "JDOBB_URL": "http://127.0.0.1:1"}
    done = jdobb("config", "show", "--json", **variables)
    assert (done.code, done.json["lease"]["source"]) == (0, "default")
    assert done.err.splitlines() == [
        "jdobb: JDOBB_LEESE is no setting; did you mean JDOBB_LEASE?",
        "jdobb: JDOBB_SERVICE_HOST is no setting",
    ]


@pytest.mark.parametrize("command", ["serve", "worker", "dev"])
def test_what_runs_tells_of_a_mistyped_variable_only(jdobb: Jdobb, command: str):
    variables = {"JDOBB_API_KEYZ": "x", "JDOBB_SERVICE_HOST": "10.0.0.1", "JDOBB_PORT": "no number"}
    done = jdobb(command, "jobs:router", **variables)
    assert (done.code, done.out) == (2, "")
    first, second, *_ = done.err.splitlines()
    assert first == "jdobb: JDOBB_API_KEYZ is no setting; did you mean JDOBB_API_KEYS or JDOBB_API_KEYS_FILE?"
    assert second.startswith("jdobb: port: ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///jobs.db", "sqlite:///jobs.db"),
        ("redis://db:6379/0", "redis://db:6379/0"),
        ("rediss://:p@ss@db/1", "rediss://***@db/1"),
        ("unix:///run/redis.sock?db=0&password=x", "unix:///run/redis.sock?db=***&password=***"),
    ],
)
def test_urls_are_shown_without_what_may_be_secret(url: str, shown: str):
    assert without_password(url) == shown
