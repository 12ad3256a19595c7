"""The compose file says what the settings, the command line and the Dockerfile say."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
import typer

from jdobb_service.cli.application import make_app
from jdobb_service.listening import CannotServe, check_exposure
from jdobb_service.settings import PREFIX, Settings, load_settings
from tests.compose.compose import (
    DOCKERFILE,
    IMAGE,
    command_in_container,
    compose,
    environment_in_container,
    image_environment,
    instruction,
    seconds,
    service,
)
from tests.support.processes import ROOT

OURS = ["app", "worker"]
SERVICES = [*OURS, "redis"]
KEYS_OF_A_SERVICE = {
    "build", "cap_drop", "command", "depends_on", "deploy", "entrypoint", "environment", "healthcheck",
    "image", "init", "ports", "profiles", "restart", "security_opt", "stop_grace_period", "volumes",
}  # fmt: skip
KEYS_OF_A_HEALTHCHECK = {"disable", "interval", "retries", "start_period", "test", "timeout"}
KEY = "web:" + "0" * 64 + ":enqueue+read"


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Return the settings that a service's process would have."""
    for variable, value in environment_in_container(name, **variables).items():
        monkeypatch.setenv(variable, value)
    return load_settings()


def test_the_services_are_these_and_their_keys_are_of_the_compose_specification():
    document = compose()
    assert {key for key in document if not key.startswith("x-")} == {"name", "services", "volumes"}
    assert list(document["services"]) == SERVICES
    for described in document["services"].values():
        assert set(described) <= KEYS_OF_A_SERVICE
        assert set(described["healthcheck"]) <= KEYS_OF_A_HEALTHCHECK
        values = described.get("environment", {}).values()
        assert all(isinstance(value, str) for value in values), "YAML's true and 30 are no strings"
        assert all(isinstance(word, str) for word in described["command"])


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_all_are_valid_together(name: str, monkeypatch: pytest.MonkeyPatch):
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    assert {v for v in environment_in_container(name) if v.startswith(PREFIX)} <= known
    assert settings_of(name, monkeypatch).backend_url == "redis://redis:6379/0"


@pytest.mark.parametrize("name", OURS)
def test_the_command_line_is_one(name: str):
    program, command, *arguments = command_in_container(name, HANDLERS="myapp.jobs:router")
    assert program == "jdobb"
    parsed = typer.main.get_command(make_app()).commands[command].make_context(command, arguments)  # type: ignore[attr-defined]
    assert parsed.params["targets"] == ["myapp.jobs:router"]


@pytest.mark.parametrize("name", OURS)
def test_the_folder_of_the_handlers_is_where_the_command_imports_them_from(name: str):
    [mount] = service(name)["volumes"]
    source, target, mode = mount.split(":")
    assert (ROOT / source / "handlers.py").is_file()
    assert PurePosixPath(target).parent == PurePosixPath(instruction("WORKDIR"))
    assert service(name)["command"] == [f"{PurePosixPath(target).name}.handlers:router"]
    assert mode == "ro"
    [own] = service(name, HANDLERS_FOLDER="myapp")["volumes"]
    assert own == "./myapp:/app/myapp:ro"


def test_ports_are_published_on_loopback_only_and_lead_to_the_port_of_the_image():
    published = [port for name in SERVICES for port in service(name, PORT="9000").get("ports", [])]
    inside = image_environment()["JDOBB_PORT"]
    assert published == [f"127.0.0.1:9000:{inside}"]
    assert instruction("EXPOSE") == inside
    assert f"127.0.0.1:{inside}/readyz" in service("app")["healthcheck"]["test"][-1]


def test_the_service_may_listen_on_all_addresses_and_only_because_the_file_says_so(
    monkeypatch: pytest.MonkeyPatch,
):
    settings = settings_of("app", monkeypatch)
    assert settings.host == "0.0.0.0"  # noqa: S104 - the address inside the container
    check_exposure(settings)
    with pytest.raises(CannotServe):
        check_exposure(settings.model_copy(update={"allow_anonymous": False}))


def test_hosts_are_checked_and_the_name_of_the_service_is_among_them(monkeypatch: pytest.MonkeyPatch):
    assert settings_of("app", monkeypatch).allowed_hosts == ("localhost", "127.0.0.1", "app")


def test_api_keys_and_hosts_and_workers_can_be_set_from_outside(monkeypatch: pytest.MonkeyPatch):
    chosen = {"JDOBB_API_KEYS": KEY, "JDOBB_ALLOWED_HOSTS": "jobs.example.com", "JDOBB_WORKERS": "false"}
    settings = settings_of("app", monkeypatch, **chosen)
    assert [key.id for key in settings.api_keys] == ["web"]
    assert settings.allowed_hosts == ("jobs.example.com",)
    assert not settings.workers
    assert settings_of("app", monkeypatch).api_keys == ()
    assert settings_of("app", monkeypatch).workers


def test_the_store_is_a_service_that_is_waited_for():
    for name in OURS:
        assert service(name)["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert "//redis:6379/" in service(name)["environment"]["JDOBB_BACKEND_URL"]
    assert "ping" in service("redis")["healthcheck"]["test"][-1]


def test_the_store_keeps_its_files_in_a_named_volume():
    [mount] = service("redis")["volumes"]
    volume, folder = mount.split(":")
    assert volume in compose()["volumes"]
    assert folder == "/data"


def test_the_store_writes_each_job_down_and_evicts_none():
    command = service("redis")["command"]
    options = dict(zip(command[::2], command[1::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] in {"everysec", "always"}
    assert options["--maxmemory-policy"] == "noeviction"


def test_a_container_may_stop_in_its_time(monkeypatch: pytest.MonkeyPatch):
    for name in OURS:
        grace = settings_of(name, monkeypatch).shutdown_grace
        assert seconds(service(name)["stop_grace_period"]) > grace + 5
    assert seconds(service("redis")["stop_grace_period"]) >= 10


def test_workers_come_with_their_profile_and_have_no_check_that_asks_for_a_port():
    assert service("worker")["profiles"] == ["workers"]
    assert service("worker")["deploy"]["replicas"] >= 2
    assert "JDOBB_PORT" in instruction("HEALTHCHECK")
    assert service("worker")["healthcheck"] == {"disable": True}
    assert [name for name in SERVICES if "profiles" not in service(name)] == ["app", "redis"]


def test_what_ends_is_started_again_and_reaps_its_children():
    for name in SERVICES:
        assert service(name)["restart"] == "unless-stopped"
        assert service(name)["init"] is True


def test_the_image_is_built_here_and_the_store_is_an_image_of_choice():
    for name in OURS:
        assert (service(name)["build"], service(name)["image"]) == (".", "jdobb")
    assert service("redis")["image"] == "redis:7-alpine"
    assert service("redis", REDIS_IMAGE="valkey/valkey:8-alpine")["image"] == "valkey/valkey:8-alpine"
    assert "build" not in service("redis")


def test_the_image_has_the_driver_of_each_backend():
    [installed] = re.findall(r"pip install --require-hashes --requirement (\S+)", DOCKERFILE)
    pinned = re.findall(r"^([\w-]+)==", ROOT.joinpath(installed).read_text(), re.MULTILINE)
    assert {"redis", "hiredis", "aiosqlite"} <= set(pinned)
    assert "COPY --from=build /venv /venv" in IMAGE
    lines = ROOT.joinpath("scripts/lock").read_text()
    assert re.search(rf"^compile {PurePosixPath(installed).stem} .*--extra redis\b", lines, re.MULTILINE)
