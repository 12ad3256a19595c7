"""FastAPI endpoints that validate, answer, and do nothing else."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Job(BaseModel):
    """What comes in, and goes out again."""

    job_type: str
    data: dict[str, Any]


app = FastAPI()


@app.post("/jobs", status_code=201)
async def submit(job: Job) -> Job:
    """Give it back."""
    return job


@app.get("/jobs/{id}")
async def get(id: str) -> Job:
    """Give one."""
    return Job(job_type="noop", data={"id": id})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
