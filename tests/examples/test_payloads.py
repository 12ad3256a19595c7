"""What the handlers accept: by their models, and alike by the JSON Schema that the service shows."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from examples.handlers import router
from tests.examples.conftest import Run

MODELS = {job_type: handler.data_model for job_type, handler in router.handlers.items()}
PAYLOADS: list[tuple[str, dict[str, Any], bool]] = [
    ("csv.profile", {"text": "a\n"}, True),
    ("csv.profile", {"text": ""}, True),
    ("csv.profile", {"path": "a.csv", "delimiter": ";"}, True),
    ("csv.profile", {}, False),
    ("csv.profile", {"text": "a\n", "path": "a.csv"}, False),
    ("csv.profile", {"text": None}, False),
    ("csv.profile", {"text": None, "path": "a.csv"}, False),
    ("csv.profile", {"text": 1}, False),
    ("csv.profile", {"path": ""}, False),
    ("csv.profile", {"path": "x" * 4097}, False),
    ("csv.profile", {"text": "a\n", "delimiter": "#"}, False),
    ("csv.profile", {"text": "a\n", "separator": ";"}, False),
    ("text.report", {"text": "a", "most_common": 0}, True),
    ("text.report", {"text": "a", "most_common": 101}, False),
    ("text.report", {"text": "a", "most_common": -1}, False),
    ("text.report", {"most_common": 1}, False),
    ("demo.steps", {}, True),
    ("demo.steps", {"seconds": 0.5, "failures": 2}, True),
    ("demo.steps", {"seconds": -1}, False),
    ("demo.steps", {"failures": 1.5}, False),
    ("demo.steps", {"steps": 3}, False),
    ("files.sha256", {"path": "."}, True),
    ("files.sha256", {}, False),
    ("files.sha256", {"path": "."  , "text": "a"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("job_type", "payload", "fits"), PAYLOADS)
def test_model_and_schema_judge_a_payload_alike(job_type: str, payload: dict[str, Any], fits: bool):
    model = MODELS[job_type]
    assert model is not None
    try:
        model.model_validate(payload)
    except ValidationError:
        assert not fits
    else:
        assert fits
    assert jsonschema.Draft202012Validator(model.model_json_schema()).is_valid(payload) is fits


def test_the_schema_describes_every_field():
    for model in MODELS.values():
        assert model is not None
        schema = model.model_json_schema()
        assert schema["additionalProperties"] is False
        assert all(field.get("description") for field in schema["properties"].values())


async def test_each_example_that_a_schema_gives_can_be_run(run_samples: Run):
    for job_type, model in MODELS.items():
        assert model is not None
        examples = model.model_json_schema()["examples"]
        assert examples
        for data in examples:
            if job_type != "demo.steps":  # it takes its time
                assert (await run_samples(job_type, **data)).status == "complete"
            model.model_validate(data)


async def test_a_payload_that_does_not_fit_fails_the_job_and_names_the_field(run: Run):
    job = await run("csv.profile", text="a\n", separator=";")
    assert job.status == "failed"
    assert "data.separator" in job.error
