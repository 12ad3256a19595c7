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
