"""The same endpoints as plain Starlette routes with the same pydantic model."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Job(BaseModel):
    """What comes in, and goes out again."""

    job_type: str
    data: dict[str, Any]


async def submit(request: Request) -> Response:
    """Give it back."""
    job = Job.model_validate_json(await request.body())
    return Response(job.model_dump_json(), status_code=201, media_type="application/json")


async def get(request: Request) -> Response:
    """Give one."""
    job = Job(job_type="noop", data={"id": request.path_params["id"]})
    return Response(job.model_dump_json(), media_type="application/json")


app = Starlette(routes=[Route("/jobs", submit, methods=["POST"]), Route("/jobs/{id}", get)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
