"""The compose file and the Dockerfile, read as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.processes import ROOT

DOCKERFILE = ROOT.joinpath("Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
IMAGE = DOCKERFILE.split("\nFROM ")[-1]
"""The part of the Dockerfile from which the image is made."""


def compose(**variables: str) -> dict[str, Any]:
    """Return the file as compose reads it with these variables in its environment."""
    document = yaml.safe_load(ROOT.joinpath("docker-compose.yml").read_text(encoding="utf-8"))
    filled: dict[str, Any] = _fill(document, variables)
    return filled


def _fill(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill in ``${NAME:-default}``, after YAML has been read: what comes in is a string then."""
    match value:
        case str():
            filled = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1]) or found[2], value)
            assert "$" not in filled
            return filled
        case dict():
            return {key: _fill(inner, variables) for key, inner in value.items()}
        case list():
            return [_fill(inner, variables) for inner in value]
    return value


def service(name: str, **variables: str) -> dict[str, Any]:
    """Return one of its services."""
    found: dict[str, Any] = compose(**variables)["services"][name]
    return found


def image_environment() -> dict[str, str]:
    """Return what the image itself sets, without its PATH."""
    [line] = re.findall(r"^ENV (.+)$", IMAGE, re.MULTILINE)
    return {name: value for name, value in re.findall(r"(\w+)=(\S+)", line) if name != "PATH"}


def instruction(name: str) -> str:
    """Return the arguments of an instruction that the image's part has once."""
    [line] = re.findall(rf"^{name} (.+)$", IMAGE, re.MULTILINE)
    return str(line)


def environment_in_container(name: str, **variables: str) -> dict[str, str]:
    """Return all variables that a service's process has in its container, PATH aside."""
    return image_environment() | service(name, **variables)["environment"]


def command_in_container(name: str, **variables: str) -> list[str]:
    """Return the command line that a service's container runs."""
    described = service(name, **variables)
    entrypoint = described.get("entrypoint") or yaml.safe_load(instruction("ENTRYPOINT"))
    return [*entrypoint, *described["command"]]


def seconds(duration: str) -> float:
    """Return a duration such as 40s."""
    assert duration.endswith("s")
    return float(duration[:-1])
