"""The library has everything that the guide's structured specification names, under the names it gives."""

from __future__ import annotations

import inspect
import re
from enum import Enum
from importlib.metadata import metadata
from typing import Any

import pytest

import jdobb_async_queue
from jdobb_async_queue import Job, JobPriority, JobStatus
from tests.docs.setup_guide import SPEC

EXPORTS: dict[str, dict[str, Any]] = {export["name"]: export for export in SPEC["exports"]}
METHODS = [(name, method) for name, export in EXPORTS.items() for method in export.get("methods", [])]
NOT_AWAITED = {"handler", "subscribe"}
"""A decorator, and an iteration."""


def member(name: str, method: str) -> Any:
    return getattr(getattr(jdobb_async_queue, name), method)


def test_the_library_is_what_the_guide_says():
    known, library = metadata("jdobb-async-queue"), SPEC["library"]
    assert known["Name"] == library["name"]
    assert jdobb_async_queue.__name__ == library["import_name"]
    assert known["Requires-Python"] == library["python_version"]
    assert known["License-Expression"] == library["license"]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_can_be_imported_from_the_library(name: str):
    kind = {"class": object, "pydantic_model": jdobb_async_queue.Job.__bases__[0], "enum": Enum}
    assert name in jdobb_async_queue.__all__
    assert issubclass(getattr(jdobb_async_queue, name), kind[EXPORTS[name]["type"]])


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_a_method_takes_the_parameters_in_their_order_and_returns_its_type(name: str, method: str):
    described = re.fullmatch(r"(\w+)\((.*)\) -> (.+)", method)
    assert described is not None
    function = member(name, described[1])
    signature = inspect.signature(function)
    expected = ["self", *filter(None, described[2].split(", "))]
    positional = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional == expected
    if described[3] != "decorator":
        assert signature.return_annotation == described[3]


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_a_method_is_awaited(name: str, method: str):
    called = method.partition("(")[0]
    assert inspect.iscoroutinefunction(member(name, called)) is (called not in NOT_AWAITED)


def test_a_handler_may_read_the_properties_of_its_context():
    for name in EXPORTS["JobContext"]["properties"]:
        assert not callable(member("JobContext", name))


@pytest.mark.parametrize("field", EXPORTS["Job"]["fields"], ids=str)
def test_a_job_has_the_fields_of_the_guide_with_their_types(field: dict[str, str]):
    [(name, described)] = field.items()
    types = re.sub(r"\[.*\]", "", Job.__annotations__[name]).split(" | ")
    assert set(described.split(" | ")) <= set(types)


def test_statuses_and_priorities_are_those_of_the_guide():
    assert list(JobStatus.__members__) == EXPORTS["JobStatus"]["values"]
    assert list(JobPriority.__members__) == EXPORTS["JobPriority"]["values"]
    assert {name: item.weight for name, item in JobPriority.__members__.items()} == EXPORTS["JobPriority"][
        "weights"
    ]


@pytest.mark.parametrize("backend", ["redis", "sqlite"])
def test_a_backend_needs_the_driver_of_the_guide(backend: str):
    name, version = SPEC["backends"][backend]["dependency"].split(">=")
    required = [
        line for line in metadata("jdobb-async-queue").get_all("Requires-Dist") or []
        if re.match(rf"{name}\b", line) and line.endswith(f"extra == '{backend}'")
    ]  # fmt: skip
    assert len(required) == 1
    assert f">={version}" in required[0]
