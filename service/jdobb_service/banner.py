"""What a person at the terminal is told when the service has started."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from jdobb_async_queue import JobRouter
from jdobb_service.masking import without_password
from jdobb_service.settings import Settings

_HELLO = {"text": "hello"}


def banner(settings: Settings, url: str, routers: Sequence[JobRouter] = ()) -> str:
    """Return where the service is, where its jobs are, and a first job to try."""
    models = {name: handler.data_model for router in routers for name, handler in router.handlers.items()}
    lines = [
        f"jdobb serves {url} (dashboard: {url}/, docs: {url}/docs)",
        f"jobs are in {shown_backend(settings.backend_url)}",
        *_first_steps(settings, url, models),
    ]
    return "\n".join(lines)


def shown_backend(url: str) -> str:
    """Return a backend's URL without its password, and with the absolute path of a file."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest != "/:memory:":
        return str(Path(rest[1:].partition("?")[0]).absolute())
    if scheme == "memory":
        return "memory: they are lost when this process ends"
    return without_password(url)


def _first_steps(settings: Settings, url: str, models: dict[str, type[BaseModel] | None]) -> Iterator[str]:
    if not models:
        yield "it runs no handlers: name a module that has some, as in `jdobb serve myapp.jobs:router`"
        return
    if not settings.workers:
        yield "it runs no jobs: `jdobb worker` with the same modules does"
    for job_type, model in models.items():
        data = _sample(model)
        if data is not None:
            yield "put a first job in by the dashboard or by one of these, from another terminal:"
            yield f"  {_enqueue(url, job_type, data)}"
            yield f"  {_curl(settings, url, {'job_type': job_type, 'data': data})}"
            return
    yield f"it takes jobs of the type {' or '.join(models)}; {url}/docs tells how"


def _sample(model: type[BaseModel] | None) -> dict[str, Any] | None:
    """Return data that the handler's model takes, one of its own examples first; None if there is none."""
    if model is None:
        return _HELLO
    for data in (*model.model_json_schema().get("examples", ()), {}, _HELLO):
        try:
            model.model_validate(data)
        except ValidationError:
            continue
        return dict(data)
    return None


def _enqueue(url: str, job_type: str, data: dict[str, Any]) -> str:
    words = (_command(), "enqueue", job_type, json.dumps(data), "--url", url, "--watch")
    return shlex.join(words)


def _command() -> str:
    """Return how a shell in this directory finds the command."""
    if shutil.which("jdobb"):
        return "jdobb"
    own, here = Path(sys.argv[0]).absolute(), Path.cwd()
    if own.name != "jdobb":
        return "jdobb"
    return str(own.relative_to(here) if own.is_relative_to(here) else own)


def _curl(settings: Settings, url: str, job: dict[str, Any]) -> str:
    key = ' -H "Authorization: Bearer $JDOBB_API_KEY"' if settings.keys() else ""
    return f"curl {url}/jobs{key} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(job))}"
