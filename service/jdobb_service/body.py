"""Request bodies: read in bounds, and decoded strictly."""

from __future__ import annotations

from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from jdobb_service.operations import Call
from jdobb_service.problems import Problem
from jdobb_service.strict_json import decode

_HINT = "send the header `Content-Type: application/json`, as `curl -H 'Content-Type: application/json'` does"
_UTF8 = frozenset({b"", b"charset=utf-8", b'charset="utf-8"'})
_ACCEPT = {"accept": "application/json"}


async def read_json(call: Call, *, optional: bool = False) -> Any:
    """Return the body's JSON value; ``{}`` for an absent body if it is ``optional``.

    Raises ``Problem``: unsupported-media-type, malformed-json, validation, payload-too-large.
    """
    if optional and not has_body(call):
        return {}
    check_media_type(call)
    return decode(await read_body(call.receive))


async def read_body(receive: Receive) -> bytes:
    """Return the whole body. Raises ``ClientDisconnect`` when the client went away before its end."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def has_body(call: Call) -> bool:
    """Tell whether the request brings a body that is not empty."""
    return call.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in call.headers


def check_media_type(call: Call) -> None:
    """Refuse a body that is not plain ``application/json``."""
    media_type = call.headers.get(b"content-type", b"")
    if media_type != b"application/json":
        kind, _, parameters = media_type.lower().partition(b";")
        if kind.strip() != b"application/json" or parameters.strip() not in _UTF8:
            detail = f"The body must be JSON in UTF-8: {_HINT}."
            raise Problem("unsupported-media-type", detail, headers=_ACCEPT)
    if call.headers.get(b"content-encoding", b"identity") != b"identity":
        raise Problem("unsupported-media-type", "The body must not be compressed.", headers=_ACCEPT)
