"""Workers on the wire."""

from __future__ import annotations

from pydantic import BaseModel

from jdobb_async_queue import WorkerInfo


class WorkerList(BaseModel):
    """The workers that are registered, latest started first."""

    items: list[WorkerInfo]
