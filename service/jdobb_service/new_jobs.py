"""From a job in a request to the library's, and from the library's refusals to the place in the request."""

from __future__ import annotations

import re
from typing import Any

from jdobb_async_queue import NewJob
from jdobb_service.operations import Call
from jdobb_service.problems import Problem, refused
from jdobb_service.schemas import jobs as wire
from jdobb_service.strict_json import check_values

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def new_job(call: Call, body: wire.NewJob) -> NewJob:
    """Return the job as the library takes it, with the request's id and trace."""
    values = vars(body)
    fields: dict[str, Any] = {name: values[name] for name in body.model_fields_set}
    fields["job_id"] = fields.pop("id", None)
    if body.retry is not None:
        fields["retry"] = body.retry.as_given()
    traceparent = call.header(b"traceparent")
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        fields["traceparent"] = traceparent
    return NewJob(**fields, request_id=call.request_id)


def explained(body: wire.NewJob, message: str) -> Problem | None:
    """Return the 422 of what the library refused, without the value; None when it named no field."""
    try:
        check_values(body.data, "data")
        check_values(body.metadata, "metadata")
    except Problem as problem:
        return problem
    return refused(message, wire.NewJob.model_fields)
