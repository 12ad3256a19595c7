"""API keys and settings as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdobb_service.keys import digest, new_key
from jdobb_service.settings import InvalidSettings, load_settings


def test_a_key_is_read_back_as_it_is_written():
    key, secret = new_key("web", ("read", "enqueue"), ("billing.*", "a:b"))
    assert str(key) == f"web:{digest(secret)}:enqueue+read:billing.*+a:b"
    assert load_settings(api_keys=f"# mine\n{key}, {new_key('ops', ('admin',))[0]}").keys()[0] == key


def test_keys_may_be_json_and_come_from_a_file(tmp_path: Path):
    first, second = new_key("a")[0], new_key("b")[0]
    file = tmp_path / "keys"
    file.write_text(f"# one on a line\n{second}\n")
    settings = load_settings(api_keys=f"[{first.model_dump_json()}]", api_keys_file=str(file))
    assert settings.keys() == (first, second)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("web", "id:sha256:scope"),
        ("web:abc:read", "sha256"),
        (f"web:{'a' * 64}:fly", "scopes"),
        (f"web:{'a' * 64}:", "scopes"),
        (f"web:{'a' * 64}:read:b c", "id:sha256:scope"),
        (f"web:{'a' * 64}:read,web:{'b' * 64}:read", "same id"),
        (f"web:{'a' * 64}:read,app:{'a' * 64}:read", "same secret"),
        ("[", "api_keys"),
    ],
)
def test_a_key_that_is_none_is_refused_without_being_shown(given: str, said: str):
    with pytest.raises(InvalidSettings, match=said) as caught:
        load_settings(api_keys=given)
    assert "a" * 64 not in str(caught.value)


def test_settings_come_from_arguments_then_environment_then_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "jdobb.toml").write_text('port = 1\nhost = "::1"\nallowed_hosts = ["a", "b"]\nlease = 5\n')
    monkeypatch.setenv("JDOBB_PORT", "2")
    monkeypatch.setenv("JDOBB_LEASE", "6")
    settings = load_settings(port=3)
    assert (settings.port, settings.lease, settings.host) == (3, 6.0, "::1")
    assert settings.allowed_hosts == ("a", "b")


def test_a_named_settings_file_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("JDOBB_SETTINGS_FILE", str(tmp_path / "other.toml"))
    with pytest.raises(InvalidSettings, match="cannot read the settings file"):
        load_settings()
    (tmp_path / "other.toml").write_text("port: 1")
    with pytest.raises(InvalidSettings, match="not TOML"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 70_000}, "port: .*65535, got 70000"),
        ({"prot": 1}, "'prot'; did you mean port"),
        ({"lease": "soon"}, "lease: .*got 'soon'"),
        ({"retention": "nan"}, "retention: .*finite"),
        ({"max_streams": 0}, "max_streams: "),
        ({"log_level": "loud"}, "log_level: "),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(given: dict, said: str):
    with pytest.raises(InvalidSettings, match=said) as caught:
        load_settings(**given)
    assert "\n" not in str(caught.value)


def test_passwords_in_the_backend_url_are_not_shown():
    assert "hunter2" not in repr(load_settings(backend_url="redis://user:hunter2@host"))
