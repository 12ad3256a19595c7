"""Whether what the service answers is what its document says of the operation."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx

DOCUMENT = Path(__file__).parents[2] / "openapi" / "openapi.json"


async def check_documented(answer: httpx.Response) -> None:
    """Fail when an operation has answered a status, media type or problem that its document does not name."""
    documented = _answers_of(answer.request.method, answer.request.url.path)
    if documented is None:
        return
    status, call = str(answer.status_code), f"{answer.request.method} {answer.request.url.path}"
    assert status in documented, f"{call} answered {status}, which is not documented"
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    assert not media_type or media_type in documented[status].get("content", ()), f"{call}: {media_type}"
    if answer.is_error:
        code = json.loads(await answer.aread())["code"]
        assert f"- `{code}`:" in documented[status]["description"], f"{call} answered {code}"


@cache
def _document() -> dict[str, Any]:
    return json.loads(DOCUMENT.read_text(encoding="utf-8"))


@cache
def _operations() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Return the operations by path, those without a parameter first."""
    paths = sorted(_document()["paths"].items(), key=lambda item: item[0].count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations) for path, operations in paths]


def _answers_of(method: str, path: str) -> dict[str, Any] | None:
    for pattern, operations in _operations():
        operation = operations.get(method.lower())
        if operation is not None and pattern.fullmatch(path):
            return {status: _resolved(answer) for status, answer in operation["responses"].items()}
    return None


def _resolved(answer: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in answer:
        return answer
    found: dict[str, Any] = _document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return found
